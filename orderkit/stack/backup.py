"""Backup and restore of the order database with PostgreSQL's own programs, of the lab's server or of one elsewhere.

A backup is one consistent moment, taken while orders run. It holds the tables and, since our payment provider and
carrier are simulated in the same database, their ledgers; it holds nothing of Temporal's.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from orderkit.errors import LabError
from orderkit.stack import postgres
from orderkit.stack.environment import inherited_environment
from orderkit.stack.target import Target
from orderkit.store.administration import count_orders
from orderkit.store.migrations import drop, migrate

# pg_dump 18 sets it, and PostgreSQL before 17 does not know it.
_UNKNOWN_BEFORE_17 = b"SET transaction_timeout = 0;\n"


@dataclass(frozen=True)
class Database:
    """How PostgreSQL's programs reach a database: the password is in the environment, where `ps` does not show it."""

    url: str  # without the password
    environment: Mapping[str, str]

    @classmethod
    def of_url(cls, url: str, shell: Mapping[str, str]) -> Database:
        """Of a URL; `shell` may have libpq's variables, where they are meant."""
        parts = urlsplit(url)
        password = {"PGPASSWORD": unquote(parts.password)} if parts.password else {}
        user, _, host = parts.netloc.rpartition("@")
        netloc = f"{user.partition(':')[0]}@{host}" if user else host
        return cls(parts._replace(netloc=netloc).geturl(), {**shell, **password})

    @classmethod
    def of_target(cls, target: Target) -> Database:
        """The one that commands use."""
        return cls.of_url(target.database_url, inherited_environment() if target.stack else os.environ)

    def run(self, program: str, *words: str) -> None:
        """Run one of PostgreSQL's programs on it; raises LabError with its last words."""
        command = [str(postgres.binary(program)), *words, f"--dbname={self.url}"]
        done = subprocess.run(command, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True)
        if done.returncode:
            raise LabError(f"{program} failed: {_last_line(done.stderr)}")


def back_up(target: Target, file: Path) -> int:
    """Write a backup, which only its owner may read, and return its size in bytes; raises LabError.

    An older file of that name is replaced at the end.
    """
    unfinished = file.with_name(file.name + ".unfinished")
    try:
        os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        Database.of_target(target).run(
            "pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={unfinished}"
        )
        unfinished.replace(file)
    except OSError as error:
        raise LabError(f"{file} cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
    return file.stat().st_size


def restore(target: Target, file: Path, *, replace: bool = False) -> int:
    """Put a backup into the database, and bring its schema up to date; returns how many orders it has then.

    Raises LabError for a file that is no backup, and, unless they are to be replaced, where there are orders already.
    """
    check_backup(file)
    there = asyncio.run(count_orders(target.database_url))
    if there and not replace:
        raise LabError(
            f"the database has {there:,} orders already; to delete them: orderkit db restore --replace {file}"
        )
    asyncio.run(drop(target.database_url))
    _read_in(Database.of_target(target), file)
    asyncio.run(migrate(target.database_url))
    return asyncio.run(count_orders(target.database_url))


def check_backup(file: Path) -> None:
    """Raise LabError unless the file is whole as far as its table of contents says."""
    if not file.is_file():
        raise LabError(f"there is no backup {file}")
    listed = subprocess.run([str(postgres.binary("pg_restore")), "--list", str(file)], capture_output=True)
    if listed.returncode:
        raise LabError(f"{file} was not written by orderkit db backup: {_last_line(listed.stderr)}")
    if b"trellis_orders" not in listed.stdout:
        raise LabError(f"{file} is a backup of something else: it has no table trellis_orders")


def _read_in(database: Database, file: Path) -> None:
    """All or nothing: one transaction."""
    written = [str(postgres.binary("pg_restore")), "--no-owner", "--no-privileges", "--file=-", str(file)]
    read = [
        *(str(postgres.binary("psql")), "--no-psqlrc", "--quiet", "--single-transaction", "--output=/dev/null"),
        *("--set=ON_ERROR_STOP=1", f"--dbname={database.url}"),
    ]
    with (
        subprocess.Popen(written, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as writer,
        subprocess.Popen(read, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=database.environment) as reader,
    ):
        assert writer.stdout and writer.stderr and reader.stdin and reader.stderr
        with suppress(BrokenPipeError):  # psql has ended, and says why
            for line in writer.stdout:
                if line != _UNKNOWN_BEFORE_17:
                    reader.stdin.write(line)
            if failed := writer.wait():
                reader.kill()  # before it commits half of the backup
                raise LabError(f"pg_restore failed ({failed}): {_last_line(writer.stderr.read())}")
        with suppress(BrokenPipeError):
            reader.stdin.close()
        why = _last_line(reader.stderr.read())
        if reader.wait():
            raise LabError(f"loading the backup failed, and the database is empty now: {why}")


def _last_line(said: bytes) -> str:
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it does not say why"
