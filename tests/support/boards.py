"""A class's board in the test's own process, on loopback, as `orderkit class open` serves it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

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
