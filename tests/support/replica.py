"""A streaming replica of a test's PostgreSQL: a base backup, and a server of its own, ended by its process."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from support.postgresql import make_home

from orderkit.stack import postgres
from orderkit.stack.backup import Database
from orderkit.stack.environment import inherited_environment
from orderkit.stack.stack import Stack
from orderkit.stack.tcp_ports import LOOPBACK, another


class StreamingReplica:
    """The server, which can be killed, started again, held up, and promoted."""

    def __init__(self, primary: Stack, home: Path) -> None:
        self._primary = primary
        self._home = home
        self._account = make_home(home)
        self._data = home / postgres.DATA_FOLDER
        self._port = another({})
        self._server: subprocess.Popen[bytes] | None = None
        database = Database.of_url(primary.superuser_url("postgres"), inherited_environment())
        database.run("pg_basebackup", "--checkpoint=fast", "--write-recovery-conf", f"--pgdata={home / 'base'}")
        postgres.give(home, home / "base")  # while the data's owner is not yet taken for the server's account
        (home / "base").rename(self._data)

    @property
    def url(self) -> str:
        """As the primary's, elsewhere."""
        return self._here(self._primary.database_url)

    def start(self) -> None:
        """Start the server; whoever needs it waits."""
        settings = {"port": str(self._port), "listen_addresses": LOOPBACK, "unix_socket_directories": ""}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self._home / "replica.log").open("ab") as log:
            self._server = subprocess.Popen(
                [str(postgres.binary("postgres")), "-D", str(self._data), *options],
                cwd=self._home,
                env=inherited_environment() | {"LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **postgres.identity(self._account),
            )

    def kill(self) -> None:
        """SIGKILL."""
        assert self._server
        self._server.kill()
        self._server.wait()

    def end(self) -> None:
        """At once, with its children."""
        if self._server and self._server.poll() is None:
            self._server.send_signal(3)  # SIGQUIT: an immediate shutdown
            self._server.wait()

    async def say(self, statement: str) -> None:
        """As superuser."""
        connection = await asyncpg.connect(self._here(self._primary.superuser_url("postgres")))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def _here(self, url: str) -> str:
        parts = urlsplit(url)
        place = f"{parts.netloc.rpartition('@')[0]}@{LOOPBACK}:{self._port}"
        return urlunsplit(parts._replace(netloc=place))


@contextmanager
def streaming_replica(primary: Stack, home: Path) -> Iterator[StreamingReplica]:
    """Made and started; gone afterwards."""
    replica = StreamingReplica(primary, home)
    try:
        replica.start()
        yield replica
    finally:
        replica.end()
