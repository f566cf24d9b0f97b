"""Images that stand in for those of Docker Hub, on a machine that may not pull any.

Debian's `debootstrap` makes the base, with the Python of that release; PostgreSQL and Temporal are the programs of our
own wheels. Needs root. What else the real images do is missing: these prove the compose file and our image, not those.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from support.container_engine import SERVICES, StepFailedError, checked, run

from orderkit.stack.postgres import binary as postgres_binary
from orderkit.stack.temporal import binary as temporal_binary

_RELEASE = "trixie"
_NAME = "localhost/orderkit-stand-in"
PYTHON = f"{_NAME}-python:{_RELEASE}"
# By the version that the compose file asks for: another one is another image.
POSTGRESQL, TEMPORAL = (f"{_NAME}-{SERVICES[name]['image'].replace('/', '-')}" for name in ("postgresql", "temporal"))
_CERTIFICATES = Path("usr/local/share/ca-certificates")  # a company's own, for pip inside the build
_POSTGRESQL_ENTRY = """#!/bin/sh
# What the compose file asks of the image postgres: user, password and database from the environment; data by version.
set -e
export PGDATA=/var/lib/postgresql/18/docker
as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  install -d -o postgres -g postgres -m 700 "$PGDATA"
  printf %s "$POSTGRES_PASSWORD" > /tmp/password
  chown postgres /tmp/password
  as_postgres initdb --username="$POSTGRES_USER" --pwfile=/tmp/password --auth-local=trust --auth-host=scram-sha-256
  rm /tmp/password
  echo "CREATE DATABASE \\"$POSTGRES_DB\\"" | as_postgres postgres --single postgres
  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
  echo "listen_addresses = '*'" >> "$PGDATA/postgresql.conf"
  echo "unix_socket_directories = '/tmp'" >> "$PGDATA/postgresql.conf"
fi
exec setpriv --reuid=postgres --regid=postgres --clear-groups "$@"
"""


def make(engine: str) -> None:
    """Make those that an earlier run has not made. Raises StepFailedError."""
    names = (PYTHON, POSTGRESQL, TEMPORAL)
    if all(run([engine, "image", "inspect", name], 30).returncode == 0 for name in names):
        return
    if os.geteuid() or not shutil.which("debootstrap"):
        raise StepFailedError("--stand-ins needs root and debootstrap (Debian, Ubuntu: apt install debootstrap)")
    with tempfile.TemporaryDirectory(prefix="orderkit-stand-ins-") as temporary:
        folder = Path(temporary)
        base = _base(folder / "base")
        _import(engine, PYTHON, base, {"CMD": '["python"]'})
        entry = {"ENTRYPOINT": '["/entrypoint.sh"]', "CMD": '["postgres"]'}
        _import(engine, POSTGRESQL, _postgresql(base), {"ENV": _path(), **entry})
        _import(engine, TEMPORAL, _temporal(base), {"ENTRYPOINT": '["temporal"]'})


def _base(folder: Path) -> Path:
    """A minimal Debian with Python, the user postgres, and this machine's own certificates."""
    packages = "--include=python3,python3-venv,ca-certificates"
    checked(["debootstrap", "--variant=minbase", packages, _RELEASE, str(folder)], 900)
    (folder / "usr/bin/python").symlink_to("python3")
    if (Path("/") / _CERTIFICATES).is_dir():
        shutil.copytree(Path("/") / _CERTIFICATES, folder / _CERTIFICATES, dirs_exist_ok=True)
    checked(["chroot", str(folder), "update-ca-certificates"], 60)
    checked(["chroot", str(folder), "useradd", "--system", "--no-create-home", "postgres"], 60)
    shutil.rmtree(folder / "var/cache/apt")
    return folder


def _copy(base: Path, name: str) -> Path:
    """The base again, to lay more into it; hard links, since nothing in it changes."""
    checked(["cp", "--archive", "--link", str(base), str(base.with_name(name))], 60)
    return base.with_name(name)


def _postgresql(base: Path) -> Path:
    """The wheel's server, with the libraries that it looks for beside its own folder."""
    folder = _copy(base, "postgresql")
    *_, package, version, _bin, _name = postgres_binary("postgres").parts
    installed = postgres_binary("postgres").parents[2]
    shutil.copytree(installed / version, folder / "opt" / package / version)
    shutil.copytree(f"{installed}.libs", folder / "opt" / f"{package}.libs")
    entry = folder / "entrypoint.sh"
    entry.write_text(_POSTGRESQL_ENTRY)
    entry.chmod(0o755)
    return folder


def _path() -> str:
    place = Path("/opt", *postgres_binary("postgres").parts[-4:-1])
    return f"PATH={place}:/usr/local/bin:/usr/bin:/bin"


def _temporal(base: Path) -> Path:
    """The wheel's program."""
    folder = _copy(base, "temporal")
    (folder / "home/temporal").mkdir()
    shutil.copy(temporal_binary(), folder / "usr/local/bin/temporal")
    return folder


def _import(engine: str, name: str, tree: Path, settings: Mapping[str, str]) -> None:
    """An image of one layer."""
    changes = [word for key, value in settings.items() for word in ("--change", f"{key} {value}")]
    archive = tree.with_suffix(".tar")
    checked(["tar", "--create", "--file", str(archive), "--directory", str(tree), "."], 300)
    checked([engine, "import", *changes, str(archive), name], 300)
    archive.unlink()
