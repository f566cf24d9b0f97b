"""The board as a process: learners on the room's network, the instructor's page on loopback, the class in a file."""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from contextlib import suppress
from pathlib import Path

import uvicorn
from starlette.types import Receive, Scope, Send

from orderkit.api.http import open_listener, server_config
from orderkit.classroom.board import Board
from orderkit.classroom.instructors_app import LOOPBACK, make_instructors_app
from orderkit.classroom.invitation import Invitation, make_word
from orderkit.classroom.learners_app import Room, make_learners_app
from orderkit.classroom.record import CLASS_SECONDS, Record, read_record
from orderkit.errors import LabError

_WRITE_SECONDS = 2.0
_MOST_CONNECTIONS = 2000


class BoardServer:
    """`invitation` is for learners, `page_url` for the instructor; `await server.serve()` until Ctrl-C or `stop`."""

    def __init__(self, host: str, port: int, file: Path, *, new: bool = False) -> None:
        self._file = file
        record = None if new else read_record(file)
        self.continues = record is not None and time.time() - record.opened < CLASS_SECONDS
        if record is None or not self.continues:
            record = Record(make_word(), secrets.token_urlsafe(24), 0, time.time(), Board())
        self._record = record
        self._room_listener = _listen(host, port)
        try:
            self._page_listener = _listen(LOOPBACK, record.page_port)
        except LabError:  # another program has taken the port meanwhile
            self._page_listener = _listen(LOOPBACK, 0)
        port, record.page_port = (each.getsockname()[1] for each in (self._room_listener, self._page_listener))
        self.invitation = Invitation(record.word, host, port)
        self.page_url = f"http://{LOOPBACK}:{record.page_port}/?token={record.token}"
        self.board = record.board
        room = Room(record.board, record.word)
        apps = self._apps = {
            port: make_learners_app(room, host),
            record.page_port: make_instructors_app(
                room, str(self.invitation), record.token, f"orderkit-board-{record.page_port}"
            ),
        }

        async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
            """Which socket took the connection decides: the page is not reachable through the room's."""
            await apps[scope["server"][1]](scope, receive, send)

        config = server_config(dispatch)
        config.timeout_graceful_shutdown = 1
        config.lifespan = "off"
        config.limit_concurrency = _MOST_CONNECTIONS
        self._server = uvicorn.Server(config)

    async def serve(self) -> None:
        """Until it is stopped."""
        _allow_many_connections()
        writer = asyncio.create_task(self._write_changes())
        try:
            with self._room_listener, self._page_listener:
                await self._server.serve(sockets=[self._room_listener, self._page_listener])
        finally:
            writer.cancel()
            self._record.write(self._file)

    def stop(self) -> None:
        """Let `serve` return."""
        self._server.should_exit = True

    async def _write_changes(self) -> None:
        version = -1
        while True:
            if version != self.board.version:
                version = self.board.version
                self._record.write(self._file)
            await asyncio.sleep(_WRITE_SECONDS)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return open_listener(host, port)
    except OSError as error:
        raise LabError(f"cannot listen on {host}:{port} ({error.strerror}); see --host and --port") from error


def _allow_many_connections() -> None:
    """macOS allows a process 256 open files unless it asks for more."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 2 * _MOST_CONNECTIONS
        if soft != resource.RLIM_INFINITY and soft < wanted:
            most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
