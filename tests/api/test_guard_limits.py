"""Strangers at the doors of the served API, at each of its calls: foreign hosts and pages, bad bodies, the slow.

What each refusal looks like in detail: tests/api/test_api_guard.py.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import httpx
import pytest
import pytest_asyncio
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from support.api import CANCEL, caller, problem, running
from temporalio.client import Client

from orderkit.api.app import create_app
from orderkit.api.http import server_config
from orderkit.core.orders import OrderId
from orderkit.settings import Settings
from orderkit.stack.stack import Stack


async def never() -> Client:
    """No test here reaches Temporal through this application."""
    raise AssertionError


CALLS = [
    (method.upper(), re.sub(r"\{\w+\}", "A-1", path))
    for path, methods in create_app(Settings(), never).openapi()["paths"].items()
    for method in methods
]
POSTS = [path for method, path in CALLS if method == "POST"]
SLOW = 200


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[tuple[str, int]]:
    """Where the API listens, served as `orderkit api` does."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        config = server_config(app)
        config.lifespan = "off"
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        yield listener.getsockname()
        server.should_exit = True
        await task


@pytest_asyncio.fixture(scope="module")
async def address(app: FastAPI) -> AsyncIterator[tuple[str, int]]:
    async with served(app) as address:
        yield address


@pytest_asyncio.fixture
async def http(address: tuple[str, int]) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{address[1]}", trust_env=False, timeout=5) as http:
        yield http


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_every_call_refuses_a_foreign_host(http: httpx.AsyncClient, method: str, path: str) -> None:
    for host in ("evil.example", "evil.example:8000", "127.0.0.1.evil.example"):
        answer = await http.request(method, path, headers={"host": host})
        problem(answer, 403, "foreign-host")


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_every_call_refuses_a_page_of_another_origin(http: httpx.AsyncClient, method: str, path: str) -> None:
    browser = {"origin": "http://evil.example", "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}
    answer = await http.request(method, path, headers=browser)
    problem(answer, 403, "foreign-origin")
    asked = await http.options(path, headers={**browser, "access-control-request-method": method})
    assert not [name for name in asked.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("path", POSTS)
async def test_every_call_refuses_json_that_says_it_is_text(http: httpx.AsyncClient, path: str) -> None:
    """A form or a script of any page can send this without asking first."""
    headers = {"content-type": "text/plain"}
    problem(await http.post(path, content='{"reason": ""}', headers=headers), 415, "not-json")


@pytest.mark.parametrize("path", POSTS)
async def test_every_call_refuses_ten_megabytes(http: httpx.AsyncClient, path: str) -> None:
    headers = {"content-type": "application/json"}
    problem(await http.post(path, content=b" " * 10_000_000, headers=headers), 413, "too-large")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"x-api-key": "wrong"},
        {"x-api-key": "s3cre"},
        {"authorization": "Bearer wrong"},
        {"authorization": "s3cret"},
    ],
)
async def test_every_call_but_health_and_docs_needs_the_key(
    servers: Stack, client: Client, order_id: OrderId, given: dict[str, str]
) -> None:
    async def connect() -> Client:
        return client

    async with running(servers.database_url, connect, api_key=SecretStr("s3cret")) as app, caller(app) as http:
        for method, path in CALLS:
            if path != "/health":
                problem(await http.request(method, path, headers=given), 401, "api-key")
        assert (await http.get("/health", headers=given)).status_code in (200, 503)
        problem(await http.post(f"/orders/{order_id}/start", json={}, headers=given), 401, "api-key")
        right = {"x-api-key": "s3cret"}
        problem(await http.get(f"/orders/{order_id}/status", headers=right), 404, "order-not-found")  # nothing started
        problem(
            await http.post(f"/orders/{order_id}/signals/cancel", json=CANCEL, headers=right), 404, "order-not-found"
        )


async def test_slow_connections_are_cut_and_others_are_served_meanwhile(
    address: tuple[str, int], http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, order_id: OrderId
) -> None:
    monkeypatch.setattr("orderkit.api.http.HEADER_SECONDS", 1.0)
    monkeypatch.setattr("orderkit.api.guard.BODY_SECONDS", 1.0)
    start = b"POST /orders/slow/start HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    sent = (b"", start, start + b"Content-Length: 9\r\n\r\n{", b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    async with AsyncExitStack() as stack:
        readers = []
        for number in range(SLOW):
            reader, writer = await asyncio.open_connection(*address)
            stack.push_async_callback(closed, writer)
            writer.write(sent[number % len(sent)])
            if number % len(sent) == 3:  # one request in time, and then half of one
                assert await reader.readuntil(b"checked_at") and await reader.readuntil(b"}")
                writer.write(start)
            readers.append(reader)
        for _ in range(10):
            assert (await http.get("/orders")).status_code == 200
        assert (await http.post(f"/orders/{order_id}/signals/cancel", json=CANCEL)).status_code == 404
        async with asyncio.timeout(15):
            answers = await asyncio.gather(*(reader.read() for reader in readers))
    for number, answer in enumerate(answers):
        expected = b"HTTP/1.1 408 " if number % len(sent) == 2 else b""
        assert answer[:13] == expected, sent[number % len(sent)]
    assert (await http.get("/orders")).status_code == 200


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


async def test_a_stream_is_not_taken_for_a_slow_connection(
    address: tuple[str, int], http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, order_id: OrderId
) -> None:
    monkeypatch.setattr("orderkit.api.http.HEADER_SECONDS", 0.2)
    await http.post(f"/orders/{order_id}/start", json={"review": "human", "deadline": 20})
    async with http.stream("GET", f"/orders/{order_id}/stream", timeout=20) as stream:
        lines = stream.aiter_lines()
        await anext(lines)
        await asyncio.sleep(1)  # several looks at the connection, which is what is tested
        await http.post(f"/orders/{order_id}/updates/cancel", json=CANCEL)
        rest = [line async for line in lines]
    assert "event: end" in rest


async def test_many_connections_at_once_are_all_answered(address: tuple[str, int]) -> None:
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{address[1]}", trust_env=False, timeout=20, limits=limits
    ) as http:
        answers = await asyncio.gather(*(http.get("/health") for _ in range(200)))
    assert {answer.status_code for answer in answers} <= {200, 503}


async def test_words_that_are_no_http_are_dropped(
    address: tuple[str, int], http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orderkit.api.http.HEADER_SECONDS", 0.5)
    for words in (b"\x16\x03\x01\x02\x00", b"A" * 100_000 + b"\r\n\r\n"):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(words)
        async with asyncio.timeout(10):
            assert (await reader.read()).partition(b"\r\n")[0] in (b"HTTP/1.1 400 Bad Request", b"")
        await closed(writer)
    assert (await http.get("/orders")).status_code == 200
