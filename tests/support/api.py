"""What tests of the REST API share: the API on real PostgreSQL and a real Temporal server, and ways to call it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO

import httpx
from fastapi import FastAPI
from pydantic import SecretStr
from support.shop import until
from temporalio.client import Client

from orderkit.api.app import create_app
from orderkit.settings import Settings
from orderkit.stack.stack import Stack

HERE = "http://127.0.0.1:8000"
SECRETS = {"street": "13 Hidden Lane", "payment_id": "pay-hush-hush"}
ADDRESS = {"street": SECRETS["street"], "city": "Springfield", "state": "IL", "zip": "62701"}
QUICK: dict[str, Any] = {"review": "none", "policy": "budget"}
CANCEL = {"reason": "changed my mind", "cancelled_by": "ada"}
REVIEW = {"reviewer": "grace", "note": "fine"}
MOVE = {"new_address": ADDRESS, "updated_by": "ada"}
MESSAGES: list[tuple[str, dict[str, Any]]] = [
    ("signals/cancel", CANCEL),
    ("signals/update-address", MOVE),
    ("signals/approve", REVIEW),
    ("signals/reject", REVIEW),
    ("updates/cancel", CANCEL),
    ("updates/address", MOVE),
    ("updates/review", {**REVIEW, "approve": True}),
]


@asynccontextmanager
async def running(database_url: str, connect: Callable[[], Awaitable[Client]], **fields: Any) -> AsyncIterator[FastAPI]:
    app = create_app(Settings(database_url=SecretStr(database_url), **fields), connect)
    async with app.router.lifespan_context(app):
        yield app


def caller(app: FastAPI, **options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HERE, **options)


def problem(response: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """The problem document of an error answer."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["status"] == status
    assert document["type"] == f"urn:orderkit:{kind}"
    assert "Traceback" not in response.text
    return document


async def state_is(http: httpx.AsyncClient, order_id: str, *states: str) -> dict[str, Any]:
    """Wait until the order's state is one of these; its status then."""
    status: dict[str, Any] = {}

    async def reached() -> bool:
        nonlocal status
        status = (await http.get(f"/orders/{order_id}/status")).json()
        return status["state"] in states

    await until(reached, f"{order_id} becomes {' or '.join(states)}")
    return status


def log_in(folder: Path) -> BinaryIO:
    folder.mkdir(exist_ok=True)
    return (folder / "log").open("wb")


async def process(code: str, servers: Stack, folder: Path, **environment: str) -> asyncio.subprocess.Process:
    """A Python process of its own, told by its environment as in the lab."""
    told = {"ORDERKIT_DATABASE_URL": servers.database_url, "TEMPORAL_ADDRESS": servers.temporal_address, **environment}
    with log_in(folder) as log:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, env=os.environ | told, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
        )


async def ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


class Gate:
    """A TCP relay that can be shut, to take a server away."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def __aenter__(self) -> Gate:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shut()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        assert self._server
        self._server.close()
        for link in list(self._links):
            link.transport.abort()

    def passed(self, data: bytes) -> bytes:
        """What goes on of what came, in either direction."""
        return data

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        self._links |= {writer, far_writer}
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        self._links -= {writer, far_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(self.passed(data))
                await writer.drain()
        except OSError:
            pass
        writer.close()
