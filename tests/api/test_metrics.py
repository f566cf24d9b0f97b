"""GET /metrics: true, the same after a restart, and without a word that is nobody's business."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from support.api import ADDRESS, QUICK, SECRETS, caller, problem, running, state_is
from support.shop import Shop, until
from temporalio.client import Client

from orderkit.contract import StartOrder
from orderkit.core.orders import OrderId
from orderkit.stack.stack import Stack
from orderkit.store.database import Pool, open_pool
from orderkit.store.migrations import migrate
from orderkit.store.orders import PostgresOrders

Samples = dict[str, float]


@pytest.fixture(autouse=True)
def uncached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orderkit.api.metrics._FRESH_SECONDS", 0)
    monkeypatch.setattr("orderkit.api.metrics._SHARE", 0)


@pytest_asyncio.fixture(scope="module")
async def http(servers: Stack, client: Client, shop: Shop) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(servers.database_url, client) as http:
        yield http


@asynccontextmanager
async def serving(database_url: str, client: Client) -> AsyncIterator[httpx.AsyncClient]:
    async def connect() -> Client:
        return client

    async with running(database_url, connect) as app, caller(app) as http:
        yield http


async def samples(http: httpx.AsyncClient) -> Samples:
    """`name{label="value"}`: its value."""
    answer = await http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        sample.name + "".join(f"|{label}={value}" for label, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


@dataclass(frozen=True)
class Books:
    """A database of its own, where no worker writes."""

    url: str
    pool: Pool

    async def order(
        self, name: str, state: str, *, seconds: float = 0, age_seconds: float = 0, payment: str | None = None
    ) -> None:
        """An order as it is after its end, or after `age_seconds`."""
        order = StartOrder().to_order(OrderId(name))
        await PostgresOrders(self.pool).create(order, datetime.now(UTC) - timedelta(seconds=age_seconds))
        await self.pool.execute(
            "UPDATE trellis_orders SET state = $2, closed_at = started_at + $3::interval WHERE id = $1",
            name,
            state,
            timedelta(seconds=seconds) if seconds else None,
        )
        if payment:
            await self.pool.execute(
                "INSERT INTO trellis_payments (payment_id, order_id, status, amount) VALUES ($1, $1, $2, 50.90)",
                name,
                payment,
            )


@pytest_asyncio.fixture
async def books(servers: Stack) -> AsyncIterator[Books]:
    name = f"metrics_{uuid.uuid4().hex[:8]}"
    superuser = await asyncpg.connect(servers.superuser_url())
    await superuser.execute(f"CREATE DATABASE {name} OWNER orderkit")
    await superuser.close()
    url = servers.database_url.rpartition("/")[0] + f"/{name}"
    await migrate(url)
    async with open_pool(url, 2) as pool:
        yield Books(url, pool)


@pytest_asyncio.fixture
async def http_on_books(books: Books, client: Client) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(books.url, client) as http:
        yield http


async def test_orders_are_counted_by_outcome_with_time_refunds_and_misses(
    books: Books, http_on_books: httpx.AsyncClient, client: Client
) -> None:
    await books.order("quick", "shipped", seconds=0.4)
    await books.order("slow", "shipped", seconds=16)
    await books.order("at-the-bound", "shipped", seconds=30)
    await books.order("paid-back", "cancelled", seconds=3.2, payment="refunded")
    await books.order("kept", "rejected", seconds=1.5, payment="declined")
    await books.order("in-time", "in_review")
    await books.order("forgotten", "compensating", age_seconds=99, payment="charged")
    told = await samples(http_on_books)
    assert by_label(told, "orderkit_orders_ended_total") == {"cancelled": 1, "failed": 0, "rejected": 1, "shipped": 3}
    open_orders = {state: n for state, n in by_label(told, "orderkit_orders_open").items() if n}
    assert open_orders == {"in_review": 1, "compensating": 1}
    shipped = {
        bound: told[f"orderkit_order_duration_seconds_bucket|le={bound}|outcome=shipped"]
        for bound in ("0.25", "0.5", "15.0", "20.0", "30.0", "60.0", "+Inf")  # a bucket includes its bound
    }
    assert shipped == {"0.25": 0, "0.5": 1, "15.0": 1, "20.0": 2, "30.0": 3, "60.0": 3, "+Inf": 3}
    assert told["orderkit_order_duration_seconds_sum|outcome=shipped"] == pytest.approx(46.4)
    assert told["orderkit_order_duration_seconds_count|outcome=shipped"] == 3
    assert told["orderkit_deadline_misses_total"] == 3  # slow, at-the-bound, and forgotten, which is still open
    assert told["orderkit_orders_overdue"] == 1  # forgotten
    assert told["orderkit_refunds_total"] == 1
    assert told["orderkit_refunded_amount_total"] == pytest.approx(50.90)
    # Another process tells the same: nothing is lost by a restart.
    async with serving(books.url, client) as other:
        again = await samples(other)
    assert {n: v for n, v in again.items() if n.startswith("orderkit_order")} == {
        n: v for n, v in told.items() if n.startswith("orderkit_order")
    }


def by_label(told: Samples, name: str) -> Samples:
    return {key.partition("=")[2]: value for key, value in told.items() if key.startswith(f"{name}|")}


async def test_an_empty_database_counts_zero(http_on_books: httpx.AsyncClient) -> None:
    told = await samples(http_on_books)
    assert set(by_label(told, "orderkit_orders_ended_total").values()) == {0}
    assert told["orderkit_refunds_total"] == told["orderkit_deadline_misses_total"] == 0


async def test_the_count_is_kept_for_a_while(books: Books, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orderkit.api.metrics._FRESH_SECONDS", 60)
    async with serving(books.url, client) as http:
        before = (await samples(http))["orderkit_orders_ended_total|outcome=failed"]
        await books.order("late-news", "failed", seconds=1)
        assert (await samples(http))["orderkit_orders_ended_total|outcome=failed"] == before


async def test_requests_are_counted_by_route_never_by_what_callers_choose(
    http: httpx.AsyncClient, order_id: OrderId
) -> None:
    body = {**QUICK, "initial_address": ADDRESS, "payment_id": f"{SECRETS['payment_id']}-{order_id}"}
    await http.post(f"/orders/{order_id}/start", json=body)
    await state_is(http, order_id, "shipped")
    for path in ("/orders/a/b/c", "/nowhere", "/metrics", f"/orders/{order_id}/status?x=y"):
        await http.get(path)
    await http.request("BREW", "/orders")
    await http.get("/orders", headers={"host": "evil.example"})
    text = (await http.get("/metrics")).text
    labels = set(re.findall(r'(?:method|route)="([^"]*)"', text))
    routes = {"/orders/{order_id}/start", "/orders/{order_id}/status", "/orders", "/metrics", "other"}
    assert routes | {"GET", "POST", "other"} <= labels
    for hidden in (*SECRETS.values(), order_id, "nowhere", "BREW", "evil"):
        assert hidden not in text
    assert 'status="403"' in text and 'status="404"' in text


async def test_servers_and_workers_are_told(http: httpx.AsyncClient) -> None:
    async def seen() -> bool:
        told = await samples(http)
        return told["orderkit_dependency_up|dependency=temporal"] == 1 and told["orderkit_workers|queue=order-tq"] >= 1

    await until(seen, "the worker is seen")


async def test_without_postgresql_orders_are_left_out_rather_than_guessed(client: Client) -> None:
    async with serving("postgresql://orderkit@127.0.0.1:9/orderkit", client) as http:
        told = await samples(http)
        assert told["orderkit_dependency_up|dependency=postgresql"] == 0
        assert not [name for name in told if name.startswith("orderkit_order")]


async def test_metrics_are_behind_the_key(servers: Stack, client: Client) -> None:
    async def connect() -> Client:
        return client

    async with running(servers.database_url, connect, api_key=SecretStr("s3cret")) as app, caller(app) as http:
        problem(await http.get("/metrics"), 401, "api-key")
        for headers in (
            {"x-api-key": "s3cret"},
            {"authorization": "Bearer s3cret"},
            {"authorization": "bearer s3cret"},
        ):
            assert (await http.get("/metrics", headers=headers)).status_code == 200
        for authorization in ("Bearer", "Bearer S3cret", "Basic s3cret", "s3cret"):
            problem(await http.get("/metrics", headers={"authorization": authorization}), 401, "api-key")
