"""A real PostgreSQL and a real Temporal server for each test process, on free ports; one database, ids of one's own."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import uuid
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
import uvicorn
from fastapi import FastAPI
from support.again import EXIT_STATUS
from support.api import caller, running
from support.postgresql import make_data
from support.shop import Shop
from temporalio.client import Client

from orderkit.client import OrderkitClient
from orderkit.core.orders import OrderId
from orderkit.stack.lifecycle import down, up
from orderkit.stack.stack import Stack
from orderkit.store.database import Pool, open_pool
from orderkit.store.migrations import migrate
from orderkit.temporal.client import connect_temporal
from orderkit.worker.process import make_workers

# The tests are bound by the processor, and half of that is Temporal's server: it collects its garbage less often.
os.environ.setdefault("GOGC", "400")


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """PostgreSQL and Temporal, with the schema; gone afterwards. Parameter: PostgreSQL's version, None the newest."""
    home: Path = tmp_path_factory.mktemp("lab") / ".orderkit"
    try:
        if version := getattr(request, "param", None):
            make_data(home, version)
        yield up(home, programs=("postgres", "temporal"), migrate=migrate)
    finally:
        down(home)


@pytest_asyncio.fixture(scope="session")
async def pool(servers: Stack) -> AsyncIterator[Pool]:
    async with open_pool(servers.database_url) as pool:
        yield pool


@pytest_asyncio.fixture(scope="session")
async def client(servers: Stack) -> Client:
    return await connect_temporal(servers.temporal_settings())


@pytest_asyncio.fixture(scope="session")
async def shop(client: Client, pool: Pool) -> AsyncIterator[Shop]:
    """A worker of this process on both queues, and ways to start orders and audit them."""
    order_worker, shipping_worker = make_workers(client, pool, ("order-tq", "shipping-tq"))
    async with order_worker, shipping_worker:
        yield Shop(client, pool)


@pytest_asyncio.fixture(scope="session")
async def app(servers: Stack, client: Client, shop: Shop) -> AsyncIterator[FastAPI]:
    async def connect() -> Client:
        return client

    async with running(servers.database_url, connect) as app:
        yield app


@pytest_asyncio.fixture(scope="session")
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with caller(app) as http:
        yield http


@pytest_asyncio.fixture(scope="session")
async def served(app: FastAPI) -> AsyncIterator[str]:
    """The address of a real HTTP server, for what streams."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await task


@pytest_asyncio.fixture(scope="session")
async def orderkit(served: str) -> AsyncIterator[OrderkitClient]:
    async with OrderkitClient(served) as orderkit:
        yield orderkit


LOG_CHARACTERS = 6_000
_numbers = itertools.count(1)


@pytest.fixture
def order_id(request: pytest.FixtureRequest) -> OrderId:
    """An id nobody else uses."""
    return OrderId(f"t{next(_numbers)}-{uuid.uuid4().hex[:8]}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show beside a failure what the programs of its labs logged last: elsewhere than here it cannot be looked up."""
    report = yield
    if report.failed:
        for stack in {each for each in getattr(item, "funcargs", {}).values() if isinstance(each, Stack)}:
            for log in sorted(stack.home.glob("logs/*.log")):
                lines = [line for line in log.read_text(errors="replace").splitlines() if '"INFO"' not in line]
                report.sections.append((f"end of {log.name}", "\n".join(lines)[-LOG_CHARACTERS:]))
    return report


def pytest_sessionstart(session: pytest.Session) -> None:
    """Until this run has ended, nobody takes the failures of an earlier one for its own."""
    _keep_exit_status(session, None)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Tell `make again` whether the run came to its end."""
    _keep_exit_status(session, int(exitstatus))


def _keep_exit_status(session: pytest.Session, status: int | None) -> None:
    cache = getattr(session.config, "cache", None)  # none with `-p no:cacheprovider`
    if cache is not None and not hasattr(session.config, "workerinput"):
        cache.set(EXIT_STATUS, status)
