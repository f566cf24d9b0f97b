"""The REST API while PostgreSQL, Temporal or the workers are away, and as a process of its own."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from support.api import CANCEL, QUICK, REVIEW, Gate, caller, ended, problem, process, running, state_is
from support.shop import Shop, until
from temporalio.client import Client

from orderkit.client import OrderkitClient
from orderkit.core.orders import OrderId, OrderInput
from orderkit.errors import DependencyUnavailable
from orderkit.stack.stack import Stack
from orderkit.store.database import Pool


async def test_it_starts_and_recovers_without_postgresql(
    servers: Stack, client: Client, shop: Shop, order_id: OrderId
) -> None:
    async def connect() -> Client:
        return client

    before, at, address = servers.database_url.rpartition("@")
    host, _, rest = address.partition(":")
    port, _, database = rest.partition("/")
    async with AsyncExitStack() as stack:
        gate = await stack.enter_async_context(Gate((host, int(port))))
        await gate.shut()
        app = await stack.enter_async_context(running(f"{before}{at}127.0.0.1:{gate.port}/{database}", connect))
        http = await stack.enter_async_context(caller(app))

        async def away() -> None:
            health = await http.get("/health")
            assert health.status_code == 503
            assert not health.json()["database"]["ok"] and health.json()["temporal"]["ok"]
            for method, path in (("GET", "status"), ("POST", "start"), ("GET", "events"), ("GET", "stream")):
                response = await http.request(method, f"/orders/{order_id}/{path}")
                assert problem(response, 503, "dependency-unavailable")["dependency"] == "postgresql"

        async def back() -> bool:
            return (await http.get("/orders")).status_code == 200 and (await http.get("/health")).json()["database"][
                "ok"
            ]

        async def gone() -> bool:
            return not (await http.get("/health")).json()["database"]["ok"]

        await away()
        await gate.open()
        await until(back, "PostgreSQL is back")
        await gate.shut()
        await until(gone, "PostgreSQL is gone")
        await away()
        await gate.open()
        await until(back, "PostgreSQL is back again")
        assert (await http.post(f"/orders/{order_id}/start", json=QUICK)).status_code == 201
        await state_is(http, order_id, "shipped")


@pytest.mark.parametrize("end", ["pg_cancel_backend", "pg_terminate_backend"])
async def test_a_read_that_an_administrator_ends_is_answered_503(http: httpx.AsyncClient, pool: Pool, end: str) -> None:
    async with pool.acquire() as blocking, pool.acquire() as looking, blocking.transaction():
        await blocking.execute("LOCK TABLE trellis_orders IN ACCESS EXCLUSIVE MODE")
        answer = asyncio.create_task(http.get("/orders?limit=7"))

        async def ended() -> bool:
            waiting = "wait_event_type = 'Lock' AND query LIKE '%trellis_orders%' AND pid <> pg_backend_pid()"
            return bool(await looking.fetch(f"SELECT {end}(pid) FROM pg_stat_activity WHERE {waiting}"))

        await until(ended, "the read waits and is ended")
        assert problem(await answer, 503, "dependency-unavailable")["dependency"] == "postgresql"
    assert (await http.get("/orders?limit=7")).status_code == 200


async def test_status_stays_true_and_the_rest_recovers_without_temporal(
    servers: Stack, shop: Shop, http: httpx.AsyncClient, order_id: OrderId
) -> None:
    host, _, port = servers.temporal_address.partition(":")
    gate = Gate((host, int(port)))

    async def connect() -> Client:
        return await Client.connect(f"127.0.0.1:{gate.port}")

    await http.post(f"/orders/{order_id}/start", json={"review": "human"})
    await state_is(http, order_id, "in_review")
    async with gate, running(servers.database_url, connect) as app, caller(app) as cut_off:
        assert (await cut_off.get("/health")).json()["temporal"]["ok"]
        await gate.shut()
        assert (await cut_off.get(f"/orders/{order_id}/status")).json()["state"] == "in_review"
        for method, path in (
            ("POST", f"{order_id}/signals/approve"),
            ("POST", f"{order_id}-2/start"),
            ("GET", f"{order_id}-2/status"),
            ("GET", f"{order_id}/history"),
        ):
            body = REVIEW if path.endswith("approve") else None
            response = await cut_off.request(method, f"/orders/{path}", json=body)
            assert problem(response, 503, "dependency-unavailable")["dependency"] == "temporal", path
        assert (await cut_off.get(f"/orders/{order_id}/events")).status_code == 200
        await gate.open()

        async def back() -> bool:
            return bool((await cut_off.get("/health")).json()["temporal"]["ok"])

        await until(back, "Temporal is back")
        assert (await cut_off.post(f"/orders/{order_id}/signals/approve", json=REVIEW)).status_code == 202
        await state_is(http, order_id, "shipped")


async def test_an_update_without_a_worker_says_so(
    http: httpx.AsyncClient, client: Client, order_id: OrderId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orderkit.temporal.orders.UPDATE_SECONDS", 0.5)
    handle = await client.start_workflow(
        "OrderWorkflow", OrderInput(order_id=order_id), id=f"order-{order_id}", task_queue="nobody-polls"
    )
    response = await http.post(f"/orders/{order_id}/updates/cancel", json=CANCEL)
    assert problem(response, 503, "dependency-unavailable")["dependency"] == "worker"
    await handle.terminate()
    assert (await http.get(f"/orders/{order_id}/status")).json()["state"] == "failed"
    problem(await http.post(f"/orders/{order_id}/updates/cancel", json=CANCEL), 409, "order-closed")
    assert (await http.get(f"/orders/{order_id}/stream")).status_code == 204


async def test_health_sees_a_killed_worker_within_seconds(
    http: httpx.AsyncClient, servers: Stack, tmp_path: Path
) -> None:
    async def pollers() -> int:
        return int((await http.get("/health")).json()["pollers"]["order-tq"])

    async def at_least(count: int) -> bool:
        return await pollers() >= count

    await until(lambda: at_least(1), "the worker of this process is seen")
    before = await pollers()
    code = "import sys; from orderkit.cli import main; sys.argv = ['orderkit', 'worker']; main()"
    worker = await process(code, servers, tmp_path)
    try:
        await until(lambda: at_least(before + 1), "the second worker is seen")
        worker.kill()

        async def gone() -> bool:
            return await pollers() == before

        await until(gone, "the killed worker is missed", timeout_seconds=8)
    finally:
        await ended(worker)


async def test_the_process_serves_logs_json_and_stops_quickly(servers: Stack, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    code = "import sys; from orderkit.cli import main; sys.argv = ['orderkit', 'api']; main()"
    api = await process(code, servers, tmp_path, ORDERKIT_API_PORT=str(port), TEMPORAL_ADDRESS="127.0.0.1:9")
    try:
        async with OrderkitClient(f"http://127.0.0.1:{port}") as orderkit:

            async def serves() -> bool:
                try:
                    return (await orderkit.health()).database.ok
                except DependencyUnavailable:
                    return False

            await until(serves, "the API serves")
            health = await orderkit.health()
            assert (health.status, health.temporal.ok) == ("degraded", False)
        second = await process(code, servers, tmp_path / "second", ORDERKIT_API_PORT=str(port))
        assert await second.wait() != 0
        assert "ORDERKIT_API_PORT" in (tmp_path / "second" / "log").read_text()
        api.terminate()
        async with asyncio.timeout(5):
            await api.wait()
    finally:
        await ended(api)
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert "API ready" in [line["message"] for line in lines]
    assert not [line for line in lines if line["levelname"] == "ERROR"]
