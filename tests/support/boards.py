"""A class's board on loopback, in the test's own process or in one of its own, and a wire that remembers."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from support.terminal import Terminal, until

from orderkit.classroom.server import BoardServer


@asynccontextmanager
async def open_board(folder: Path, port: int = 0, *, new: bool = False) -> AsyncIterator[BoardServer]:
    """Served until the block ends, however it ends."""
    server = BoardServer("127.0.0.1", port, folder / "class-board.json", new=new)
    task = asyncio.create_task(server.serve())
    try:
        yield server
    finally:
        server.stop()
        await task


class Caller:
    """Somebody who speaks the learners' HTTP without our client, within `async with`."""

    def __init__(self, server: BoardServer) -> None:
        self.word = server.invitation.word
        self.http = httpx.AsyncClient(base_url=server.invitation.url, trust_env=False)

    async def __aenter__(self) -> Caller:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def join(self, name: object, word: str | None = None, seat: str = "") -> httpx.Response:
        headers = bearer(self.word if word is None else word) | ({"X-Seat": seat} if seat else {})
        return await self.http.post("/join", json={"name": name}, headers=headers)

    async def seat(self, name: str) -> str:
        answer = await self.join(name)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["seat"])

    async def tell(self, seat: str, **news: str) -> int:
        return (await self.http.post("/news", json=news, headers=bearer(seat))).status_code


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def page_of(server: BoardServer) -> AsyncIterator[httpx.AsyncClient]:
    """The instructor's browser: it has opened the page."""
    async with httpx.AsyncClient(base_url=server.page_url.partition("/?")[0], trust_env=False) as http:
        assert (await http.get(server.page_url)).status_code == 200
        yield http


async def picture_of(page: httpx.AsyncClient) -> dict[str, Any]:
    """The next picture that the page gets."""
    async with page.stream("GET", "/stream") as stream:
        async for line in stream.aiter_lines():
            if line.startswith("data:"):
                return dict(json.loads(line[5:]))
    raise AssertionError("no picture")


@dataclass(frozen=True)
class OpenBoard:
    """`orderkit class open` as a process of its own."""

    process: subprocess.Popen[bytes]
    page_url: str
    word: str  # without the address
    port: int

    @property
    def invitation(self) -> str:
        return f"{self.word}@127.0.0.1:{self.port}"


@contextmanager
def opened_class(folder: Path, *options: str, port: int = 0) -> Iterator[OpenBoard]:
    """Ended by Ctrl-C afterwards, unless somebody has killed it."""
    log = folder / "class.log"
    log.unlink(missing_ok=True)
    terminal = Terminal(folder, {"ORDERKIT_HOME": str(folder / ".orderkit")})
    arguments = ("class", "open", "--host", "127.0.0.1", "--port", str(port), "--no-browser", *options)
    process = terminal.start(*arguments, log=log)
    try:
        until(lambda: "Ctrl-C" in log.read_text() or process.poll() is not None, "the board is there", 60)
        said = log.read_text()
        page, invited = re.search(r"http\S+\?token=\S+", said), re.search(r'"([a-z-]+)@127.0.0.1:(\d+)"', said)
        assert page and invited, said
        yield OpenBoard(process, page[0], invited[1], int(invited[2]))
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
        assert "Traceback" not in log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(5)


class Wire:
    """A proxy in threads, within `with`: it keeps what clients send, and hands everything on."""

    def __init__(self, port: int) -> None:
        self._board = port
        self.sent: list[bytearray] = []  # by connection
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # cut
                return
            try:
                board = socket.create_connection(("127.0.0.1", self._board))
            except OSError:  # the board is dead
                client.close()
                continue
            self._sockets += [client, board]
            self.sent.append(bytearray())
            for pair in ((client, board, self.sent[-1]), (board, client, bytearray())):
                threading.Thread(target=self._copy, args=pair, daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket, kept: bytearray) -> None:
        with suppress(OSError):
            while piece := source.recv(65_536):
                kept += piece
                target.sendall(piece)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def requests_of(sent: bytes) -> Iterator[tuple[str, dict[str, str], bytes]]:
    """Method and path, headers, and body of each request on a connection; fails on a byte that belongs to none."""
    while sent:
        head, _, rest = sent.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", 0))
        assert first.endswith(" HTTP/1.1") and "transfer-encoding" not in headers and len(rest) >= length
        yield first.removesuffix(" HTTP/1.1"), headers, rest[:length]
        sent = rest[length:]
