"""The REST API on real PostgreSQL and a real Temporal server, with a worker in this process."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import httpx
import pytest
import pytest_asyncio
import uvicorn
from fastapi import FastAPI
from harness import Shop, until
from pydantic import SecretStr
from temporalio.client import Client

from orderkit.api.app import create_app
from orderkit.api.models import AddressBody, FaultsBody, StartOrder, UpdateAddressBody
from orderkit.client import OrderkitClient
from orderkit.core.orders import OrderId, OrderInput
from orderkit.core.steps import ORDER_QUEUE, Step
from orderkit.errors import (
    DependencyUnavailable,
    InvalidOrder,
    MessageRefused,
    OrderClosed,
    OrderConflict,
    OrderNotFound,
    SettingsError,
)
from orderkit.lab.stack import Stack
from orderkit.settings import Settings
from orderkit.store.orders import PostgresOrders

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


# Starting


async def test_an_order_starts_with_an_empty_body(http: httpx.AsyncClient, order_id: OrderId) -> None:
    response = await http.post(f"/orders/{order_id}/start")
    assert response.status_code == 201, response.text
    assert response.json() == {
        "order_id": order_id,
        "workflow_id": f"order-{order_id}",
        "amount": "50.90",
        "created": True,
    }
    assert (await http.get(response.headers["location"])).status_code == 200


async def test_the_same_request_again_starts_nothing(http: httpx.AsyncClient, order_id: OrderId) -> None:
    assert (await http.post(f"/orders/{order_id}/start", json=QUICK)).status_code == 201
    again = await http.post(f"/orders/{order_id}/start", json=QUICK)
    assert (again.status_code, again.json()["created"]) == (200, False)
    await state_is(http, order_id, "shipped")
    assert (await http.post(f"/orders/{order_id}/start", json=QUICK)).status_code == 200


async def test_a_different_request_under_the_same_id_is_a_conflict(http: httpx.AsyncClient, order_id: OrderId) -> None:
    assert (await http.post(f"/orders/{order_id}/start", json=QUICK)).status_code == 201
    problem(await http.post(f"/orders/{order_id}/start", json={**QUICK, "deadline": 9}), 409, "order-conflict")


async def test_fifty_starts_at_once_are_one_order(http: httpx.AsyncClient, order_id: OrderId) -> None:
    responses = await asyncio.gather(*(http.post(f"/orders/{order_id}/start", json=QUICK) for _ in range(50)))
    assert sorted(response.status_code for response in responses) == [200] * 49 + [201]
    await state_is(http, order_id, "shipped")


async def test_an_order_without_a_workflow_is_remembered(
    http: httpx.AsyncClient, shop: Shop, order_id: OrderId
) -> None:
    order = StartOrder.model_validate(QUICK).to_order(order_id)
    await PostgresOrders(shop.pool).create(order, datetime.now(UTC))
    assert (await http.post(f"/orders/{order_id}/start", json=QUICK)).status_code == 200
    problem(await http.post(f"/orders/{order_id}/start", json={}), 409, "order-conflict")
    problem(await http.post(f"/orders/{order_id}/signals/cancel", json=CANCEL), 409, "order-closed")
    problem(await http.get(f"/orders/{order_id}/history"), 404, "order-not-found")
    assert (await http.get(f"/orders/{order_id}/status")).json()["state"] == "received"


async def test_an_order_outlives_its_history(http: httpx.AsyncClient, client: Client, order_id: OrderId) -> None:
    """Its workflow has another id here: to delete a history takes Temporal half a minute."""
    order = StartOrder.model_validate(QUICK).to_order(order_id)
    handle = await client.start_workflow("OrderWorkflow", order, id=f"gone-{order_id}", task_queue=ORDER_QUEUE)
    await handle.result()
    assert (await http.get(f"/orders/{order_id}/status")).json()["outcome"] == "shipped"
    assert (await http.get(f"/orders/{order_id}/events")).json()["events"]
    again = await http.post(f"/orders/{order_id}/start", json=QUICK)
    assert (again.status_code, again.json()["created"]) == (200, False)
    problem(await http.post(f"/orders/{order_id}/start", json={}), 409, "order-conflict")
    for path, body in MESSAGES:
        problem(await http.post(f"/orders/{order_id}/{path}", json=body), 409, "order-closed")
    problem(await http.get(f"/orders/{order_id}/history"), 404, "order-not-found")  # nothing was started


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"items": []}, {"items"}),
        ({"items": [{"sku": "x", "qty": 0}]}, {"items[0].qty"}),
        ({"items": [{"sku": "x", "qty": "2"}]}, {"items[0].qty"}),
        ({"items": [{"sku": "x", "unit_price": -1}]}, {"items[0].unit_price"}),
        ({"items": [{"sku": "x", "unit_price": "9.999"}]}, {"items[0].unit_price"}),
        ({"items": [{"sku": "x", "unit_price": "NaN"}]}, {"items[0].unit_price"}),
        ({"items": [{"sku": "x", "unit_price": 0}]}, {"items[0].unit_price"}),
        ({"items": [{"sku": "x\u0000"}]}, {"items[0].sku"}),
        ({"items": [{"sku": " "}]}, {"items[0].sku"}),
        ({"initial_address": {}}, {f"initial_address.{name}" for name in ("street", "city", "state", "zip")}),
        ({"initial_address": {**ADDRESS, "street": ""}}, {"initial_address.street"}),
        ({"initial_address": {**ADDRESS, "street": "a\nb"}}, {"initial_address.street"}),
        ({"initial_address": {**ADDRESS, "city": "123", "zip": "?"}}, {"initial_address.city", "initial_address.zip"}),
        ({"payment_id": "a/b", "deadline": 0, "policy": "best"}, {"payment_id", "deadline", "policy"}),
        ({"deadline": float("nan")}, {"deadline"}),
        ({"review": "maybe"}, {"review"}),
        ({"faults": {"scenario": "doom"}}, {"faults.scenario"}),
        ({"faults": {"script": {"nap": ["ok"]}}}, {"faults.script.nap.[key]"}),
        ({"faults": {"script": {"charge": ["nap"]}}}, {"faults.script.charge[0]"}),
        ({"colour": "red"}, {"colour"}),
        ([], {"body"}),
    ],
)
async def test_bad_input_is_refused_and_leaves_nothing(
    http: httpx.AsyncClient, order_id: OrderId, body: Any, fields: set[str]
) -> None:
    content = json.dumps(body)
    response = await http.post(
        f"/orders/{order_id}/start", content=content, headers={"content-type": "application/json"}
    )
    document = problem(response, 422, "invalid-request")
    assert {error["field"] for error in document["errors"]} == fields
    assert SECRETS["street"] not in response.text
    problem(await http.get(f"/orders/{order_id}/status"), 404, "order-not-found")


@pytest.mark.parametrize("order_id", ["-a", "a%20b", "a%0A", "x" * 65, "%C3%A4", "a%00"])
async def test_a_bad_id_is_refused(http: httpx.AsyncClient, order_id: str) -> None:
    for method, path in (("POST", "start"), ("GET", "status"), ("GET", "stream"), ("POST", "signals/cancel")):
        body = CANCEL if path == "signals/cancel" else None
        problem(await http.request(method, f"/orders/{order_id}/{path}", json=body), 422, "invalid-request")
    assert (await http.post("/orders/a/b/start")).status_code == 404


@pytest.mark.parametrize("content", [b"{", b'{"\xff": 1}', b"[" * 60_000, b"1" * 10_000, b'"\\ud800"'])
async def test_a_body_that_is_no_json_is_refused(http: httpx.AsyncClient, order_id: OrderId, content: bytes) -> None:
    headers = {"content-type": "application/json"}
    problem(await http.post(f"/orders/{order_id}/start", content=content, headers=headers), 422, "invalid-request")


# Status


async def test_status_tells_attempts_errors_payment_and_outcome(http: httpx.AsyncClient, order_id: OrderId) -> None:
    faults = {"script": {"validate": ["error", "ok"], "charge": ["error_after", "error", "ok"]}}
    items = [{"sku": "tea", "qty": 3, "unit_price": 24.9}]
    await http.post(f"/orders/{order_id}/start", json={**QUICK, "faults": faults, "items": items})
    status = await state_is(http, order_id, "shipped")
    assert status["attempts"] == {
        "receive": 1,
        "validate": 2,
        "charge": 3,
        "prepare": 1,
        "dispatch": 1,
        "ship": 1,
    }
    assert [(error["step"], error["attempt"], error["outcome"]) for error in status["errors"]] == [
        ("charge", 2, "failed"),
        ("charge", 1, "failed"),
        ("validate", 1, "failed"),
    ]
    assert status["outcome"] == "shipped"
    assert status["step"] is None
    assert status["amount"] == "74.70"
    assert status["payment"] == {"status": "charged", "amount": "74.70"}
    assert status["tracking"].startswith("TRK")
    assert status["within_deadline"] is True
    assert status["deadline_left_seconds"] is None


async def test_the_step_that_ends_an_order_is_not_lost_before_its_end_is_noted(
    http: httpx.AsyncClient, shop: Shop, order_id: OrderId
) -> None:
    await http.post(f"/orders/{order_id}/start", json=QUICK)
    await until(lambda: _history_is_closed(http, order_id), "the workflow closes")
    found = []
    for step in ("ship", "charge"):
        await shop.pool.execute(
            "DELETE FROM trellis_events WHERE order_id = $1 AND step = $2 AND type = 'step_ended'", order_id, step
        )
        found.append((await http.get(f"/orders/{order_id}/status")).json()["errors"])
    assert found[0] == []
    assert [(error["step"], error["outcome"]) for error in found[1]] == [("charge", "lost")]


async def test_status_of_an_order_in_review(http: httpx.AsyncClient, order_id: OrderId) -> None:
    await http.post(f"/orders/{order_id}/start", json={"review": "human"})
    status = await state_is(http, order_id, "in_review")
    assert (status["step"], status["outcome"], status["payment"]) == ("review", None, None)
    assert 0 < status["deadline_left_seconds"] <= 15


async def test_an_order_without_a_row_is_starting(http: httpx.AsyncClient, order_id: OrderId) -> None:
    await http.post(f"/orders/{order_id}/start", json={"faults": {"script": {"receive": ["hang"]}}})
    assert (await http.get(f"/orders/{order_id}/status")).json()["state"] == "starting"
    await state_is(http, order_id, "received", "validated", "in_review")


async def test_why_an_order_stopped_is_told(http: httpx.AsyncClient, order_id: OrderId) -> None:
    await http.post(f"/orders/{order_id}/start", json={**QUICK, "faults": {"script": {"charge": ["decline"]}}})
    status = await state_is(http, order_id, "rejected")
    assert status["outcome"] == "rejected"
    assert status["stop_reason"] == "decline injected into charge, attempt 1"
    assert status["payment"]["status"] == "declined"


async def test_unknown_orders_are_not_found(http: httpx.AsyncClient, order_id: OrderId) -> None:
    for path in ("status", "events", "attempts", "history", "stream"):
        problem(await http.get(f"/orders/{order_id}/{path}"), 404, "order-not-found")
    for path, body in MESSAGES:
        problem(await http.post(f"/orders/{order_id}/{path}", json=body), 404, "order-not-found")


# Messages


async def test_signals_reach_the_order(http: httpx.AsyncClient, shop: Shop, order_id: OrderId) -> None:
    await http.post(f"/orders/{order_id}/start", json={"review": "human"})
    await state_is(http, order_id, "in_review")
    moved = await http.post(f"/orders/{order_id}/signals/update-address", json=MOVE)
    assert (moved.status_code, moved.json()) == (202, {"order_id": order_id, "sent": "update-address"})
    assert (await http.post(f"/orders/{order_id}/signals/approve", json=REVIEW)).status_code == 202
    await state_is(http, order_id, "shipped")
    label = await shop.pool.fetchval("SELECT label_json FROM world.shipments WHERE order_id = $1", order_id)
    assert label["street"] == SECRETS["street"]


@pytest.mark.parametrize("signal", ["reject", "cancel"])
async def test_an_order_in_review_can_be_stopped(http: httpx.AsyncClient, order_id: OrderId, signal: str) -> None:
    await http.post(f"/orders/{order_id}/start", json={"review": "human"})
    body = CANCEL if signal == "cancel" else REVIEW
    assert (await http.post(f"/orders/{order_id}/signals/{signal}", json=body)).status_code == 202
    await state_is(http, order_id, "cancelled")


async def test_messages_to_a_closed_order_come_too_late(http: httpx.AsyncClient, order_id: OrderId) -> None:
    await http.post(f"/orders/{order_id}/start", json=QUICK)
    await state_is(http, order_id, "shipped")
    problem(await http.post(f"/orders/{order_id}/signals/cancel", json=CANCEL), 409, "order-closed")
    await until(lambda: _history_is_closed(http, order_id), "the workflow closes")
    for path, body in MESSAGES:
        document = problem(await http.post(f"/orders/{order_id}/{path}", json=body), 409, "order-closed")
        assert "shipped" in document["detail"]


async def _history_is_closed(http: httpx.AsyncClient, order_id: OrderId) -> bool:
    return bool((await http.get(f"/orders/{order_id}/history")).json()["status"] != "RUNNING")


async def test_updates_answer(http: httpx.AsyncClient, order_id: OrderId) -> None:
    await http.post(f"/orders/{order_id}/start", json={"review": "human"})
    moved = await http.post(f"/orders/{order_id}/updates/address", json=MOVE)
    assert (moved.status_code, moved.json()["message"]) == (200, "the address is changed")
    approved = await http.post(f"/orders/{order_id}/updates/review", json={**REVIEW, "approve": True})
    assert (approved.status_code, approved.json()["message"]) == (200, "approved")
    refused = await http.post(f"/orders/{order_id}/updates/review", json={**REVIEW, "approve": False})
    assert problem(refused, 409, "message-refused")["detail"] == "the order was approved already, by grace"


async def test_an_update_repeated_under_its_key_acts_once(http: httpx.AsyncClient, order_id: OrderId) -> None:
    await http.post(f"/orders/{order_id}/start", json={"review": "human"})
    key = {"idempotency-key": "first"}
    for _ in range(2):
        moved = await http.post(f"/orders/{order_id}/updates/address", json=MOVE, headers=key)
        assert moved.status_code == 200
    history = (await http.get(f"/orders/{order_id}/history")).json()["events"]
    assert [event["type"] for event in history].count("WORKFLOW_EXECUTION_UPDATE_ACCEPTED") == 1
    await http.post(f"/orders/{order_id}/updates/cancel", json=CANCEL)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("signals/cancel", {"reason": "no"}),
        ("signals/cancel", {"reason": "no", "cancelled_by": " "}),
        ("signals/cancel", {"reason": "no\u0000", "cancelled_by": "ada"}),
        ("signals/update-address", {"new_address": {**ADDRESS, "zip": ""}, "updated_by": "ada"}),
        ("signals/approve", {"reviewer": "x" * 501}),
        ("updates/review", {"reviewer": "grace"}),
        ("updates/review", {"reviewer": "grace", "approve": "yes"}),
    ],
)
async def test_a_malformed_message_is_refused(http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> None:
    problem(await http.post(f"/orders/whatever/{path}", json=body), 422, "invalid-request")


# Reading


async def test_the_list_filters_and_pages(http: httpx.AsyncClient, order_id: OrderId) -> None:
    names = [f"{order_id}.{number}" for number in range(5)]
    for name in names:
        await http.post(f"/orders/{name}/start", json=QUICK)
        await state_is(http, name, "shipped")
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query = {"prefix": order_id, "limit": "2", "state": "shipped"}
        if cursor:
            query["cursor"] = cursor
        page = (await http.get("/orders", params=query)).json()
        seen += [order["order_id"] for order in page["orders"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == names[::-1]
    assert (await http.get("/orders", params={"prefix": order_id, "state": "failed"})).json()["orders"] == []


async def test_pages_stay_as_they_were_while_orders_arrive(http: httpx.AsyncClient, order_id: OrderId) -> None:
    async def arrive(name: str) -> None:
        await http.post(f"/orders/{name}/start", json={"review": "human", "deadline": 60})
        await state_is(http, name, "in_review")

    names = [f"{order_id}.{number}" for number in range(4)]
    for name in names:
        await arrive(name)
    seen: list[str] = []
    cursor: str | None = None
    for late in range(10):
        query = {"prefix": order_id, "limit": "1"} | ({"cursor": cursor} if cursor else {})
        page = (await http.get("/orders", params=query)).json()
        seen += [order["order_id"] for order in page["orders"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        await arrive(f"{order_id}.late{late}")
    assert seen == names[::-1]
    first = (await http.get("/orders", params={"prefix": order_id, "limit": 1})).json()["orders"]
    assert first[0]["order_id"] == f"{order_id}.late2"


@pytest.mark.parametrize("query", ["cursor=abc", "cursor=%00", "limit=0", "limit=x", "state=lost", "prefix=%25"])
async def test_a_bad_query_is_refused(http: httpx.AsyncClient, query: str) -> None:
    problem(await http.get(f"/orders?{query}"), 422, "invalid-request")


async def test_events_come_in_pages(http: httpx.AsyncClient, order_id: OrderId) -> None:
    await http.post(f"/orders/{order_id}/start", json=QUICK)
    await state_is(http, order_id, "shipped")
    types: list[str] = []
    after: int | None = 0
    while after is not None:
        page = (await http.get(f"/orders/{order_id}/events", params={"after": after, "limit": 4})).json()
        types += [event["type"] for event in page["events"]]
        after = page["next_after"]
    own = [kind for kind in types if not kind.startswith("step_")]
    assert own == [
        "order_received",
        "order_validated",
        "order_approved",
        "payment_charged",
        "package_prepared",
        "carrier_dispatched",
        "order_shipped",
    ]


async def test_history_shows_attempts_and_failures_without_payloads(http: httpx.AsyncClient, order_id: OrderId) -> None:
    body = {**QUICK, "initial_address": ADDRESS, "payment_id": f"{SECRETS['payment_id']}-{order_id}"}
    await http.post(f"/orders/{order_id}/start", json={**body, "faults": {"script": {"charge": ["error"]}}})
    await http.post(f"/orders/{order_id}/signals/update-address", json=MOVE)
    await state_is(http, order_id, "shipped")
    parent = await http.get(f"/orders/{order_id}/history")
    child = await http.get(f"/orders/{order_id}/history", params={"shipping_run": 1})
    for secret in SECRETS.values():
        assert secret not in parent.text + child.text
    events = parent.json()["events"]
    scheduled = [event["attributes"] for event in events if event["type"] == "ACTIVITY_TASK_SCHEDULED"]
    assert "charge_payment_activity" in [attributes["activity_type"] for attributes in scheduled]
    started = [event["attributes"] for event in events if event["type"] == "ACTIVITY_TASK_STARTED"]
    failures = [failure for attributes in started for failure in attributes.get("last_failure", [])]
    assert [failure["type"] for failure in failures] == ["InjectedError"]
    assert child.json()["workflow_id"] == f"shipping-{order_id}"


# The stream


async def sse(http: httpx.AsyncClient, order_id: str, last_id: int | None = None) -> AsyncIterator[dict[str, Any]]:
    headers = {"Last-Event-ID": str(last_id)} if last_id else {}
    async with http.stream("GET", f"/orders/{order_id}/stream", headers=headers, timeout=20) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        message: dict[str, Any] = {}
        async for line in response.aiter_lines():
            name, _, value = line.partition(": ")
            if line == "" and message:
                yield message
                message = {}
            elif name:
                message[name] = json.loads(value) if name == "data" else value


async def test_the_stream_pushes_resumes_and_ends(served: str, http: httpx.AsyncClient, order_id: OrderId) -> None:
    await http.post(f"/orders/{order_id}/start", json={"review": "human"})
    async with httpx.AsyncClient(base_url=served) as browser:
        first: list[dict[str, Any]] = []
        async for message in sse(browser, order_id):
            first.append(message)
            if message["data"]["type"] == "review_opened":
                break
        last_id = int(first[-1]["id"])
        await http.post(f"/orders/{order_id}/signals/approve", json=REVIEW)
        rest = [message async for message in sse(browser, order_id, last_id)]
        assert rest[-1] == {"event": "end", "data": {"state": "shipped"}}
        streamed = [message["data"] for message in first + rest[:-1]]
        events = (await http.get(f"/orders/{order_id}/events")).json()["events"]
        assert sorted(streamed, key=lambda event: int(event["id"])) == events
        done = await browser.get(f"/orders/{order_id}/stream", headers={"Last-Event-ID": str(events[-1]["id"])})
        assert done.status_code == 204


# Doors


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8000", "", "[", "a b"])
async def test_a_foreign_host_is_refused(http: httpx.AsyncClient, host: str) -> None:
    for path in ("/orders", "/health", "/docs"):
        problem(await http.get(path, headers={"host": host}), 403, "foreign-host")


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000"])
async def test_loopback_names_are_welcome(http: httpx.AsyncClient, host: str) -> None:
    assert (await http.get("/orders", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_a_foreign_page_cannot_post(http: httpx.AsyncClient, order_id: OrderId, headers: dict[str, str]) -> None:
    problem(await http.post(f"/orders/{order_id}/start", headers=headers), 403, "foreign-origin")
    problem(await http.get(f"/orders/{order_id}/status"), 404, "order-not-found")


async def test_its_own_page_can_post(http: httpx.AsyncClient, order_id: OrderId) -> None:
    headers = {"origin": HERE, "sec-fetch-site": "same-origin"}
    assert (await http.post(f"/orders/{order_id}/start", json=QUICK, headers=headers)).status_code == 201


async def test_no_answer_invites_other_origins(http: httpx.AsyncClient) -> None:
    response = await http.get("/orders", headers={"origin": "http://evil.example"})
    assert not [name for name in response.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonp"])
async def test_only_json_bodies_are_taken(http: httpx.AsyncClient, order_id: OrderId, media_type: str) -> None:
    headers = {"content-type": media_type}
    problem(await http.post(f"/orders/{order_id}/start", content="{}", headers=headers), 415, "not-json")


async def test_a_large_body_is_refused_announced_or_not(http: httpx.AsyncClient, served: str) -> None:
    headers = {"content-type": "application/json"}
    problem(await http.post("/orders/big/start", content=b" " * 10_000_000, headers=headers), 413, "too-large")

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 1_000

    problem(await http.post("/orders/big/start", content=chunks(), headers=headers), 413, "too-large")
    async with httpx.AsyncClient(base_url=served) as browser:
        problem(await browser.post("/orders/big/start", content=chunks(), headers=headers), 413, "too-large")


async def test_a_bound_address_needs_a_key(servers: Stack, client: Client) -> None:
    async def connect() -> Client:
        return client

    url = SecretStr(servers.database_url)
    with pytest.raises(SettingsError, match="ORDERKIT_API_KEY"):
        create_app(Settings(database_url=url, api_host="0.0.0.0"))
    app = create_app(Settings(database_url=url, api_host="0.0.0.0", api_key=SecretStr("s3cret")), connect)
    async with app.router.lifespan_context(app), caller(app) as http:
        for headers in ({}, {"x-api-key": ""}, {"x-api-key": "S3cret"}, {"x-api-key": "s3cret2"}):
            problem(await http.get("/orders", headers=headers), 401, "api-key")
        assert (await http.get("/orders", headers={"x-api-key": "s3cret"})).status_code == 200
        for path in ("/health", "/docs", "/openapi.json"):
            assert (await http.get(path)).status_code in (200, 503)
        transport = httpx.ASGITransport(app)
        async with OrderkitClient(HERE, SecretStr("s3cret"), transport) as orderkit:
            assert (await orderkit.list()).orders is not None
        async with OrderkitClient(HERE, "wrong", transport) as orderkit:
            with pytest.raises(SettingsError, match="X-API-Key"):
                await orderkit.list()


async def test_errors_and_logs_hold_no_address_and_no_payment_id(
    http: httpx.AsyncClient, order_id: OrderId, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    body = {**QUICK, "initial_address": ADDRESS, "payment_id": f"{SECRETS['payment_id']}-{order_id}"}
    texts = [
        (await http.post(f"/orders/{order_id}/start", json=body)).text,
        (await http.post(f"/orders/{order_id}/start", json={**body, "deadline": 7})).text,
        (await http.post(f"/orders/{order_id}/start", json={**body, "initial_address": {**ADDRESS, "zip": "?"}})).text,
        (await http.post(f"/orders/{order_id}/signals/update-address", json={**MOVE, "more": ADDRESS})).text,
    ]
    await state_is(http, order_id, "shipped")
    texts += [(await http.get(f"/orders/{order_id}/{path}")).text for path in ("status", "events", "history")]
    for secret in SECRETS.values():
        assert secret not in "".join(texts) + caplog.text


# Health, documents, servers that are away


async def test_health_names_each_dependency(http: httpx.AsyncClient) -> None:
    async def ok() -> bool:
        return (await http.get("/health")).status_code == 200

    await until(ok, "health is ok")
    health = (await http.get("/health")).json()
    assert health["status"] == "ok"
    assert health["database"]["ok"] and health["temporal"]["ok"]
    assert set(health["pollers"]) == {"order-tq", "shipping-tq"}
    assert all(count >= 1 for count in health["pollers"].values())


async def test_docs_need_no_internet(http: httpx.AsyncClient) -> None:
    page = (await http.get("/docs")).text
    links = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert links and all(link.startswith("/") for link in links)
    for link in links:
        assert (await http.get(link)).status_code == 200


async def test_the_openapi_document_is_complete(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    calls = {
        (method.upper(), path): call for path, methods in document["paths"].items() for method, call in methods.items()
    }
    assert len(calls) == 16
    for (method, path), call in calls.items():
        assert call["description"], path
        wanted = {"403", "422", "503"} | ({"413", "415"} if method == "POST" else set())
        assert wanted <= set(call["responses"]), path
        for status, answer in call["responses"].items():
            if int(status) >= 400 and (path, status) != ("/health", "503"):
                assert list(answer["content"]) == ["application/problem+json"], (path, status)


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

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        self._links |= {writer, far_writer}
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        self._links -= {writer, far_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()


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
    monkeypatch.setattr("orderkit.api.temporal.UPDATE_SECONDS", 0.5)
    handle = await client.start_workflow(
        "OrderWorkflow", OrderInput(order_id=order_id), id=f"order-{order_id}", task_queue="nobody-polls"
    )
    response = await http.post(f"/orders/{order_id}/updates/cancel", json=CANCEL)
    assert problem(response, 503, "dependency-unavailable")["dependency"] == "worker"
    await handle.terminate()
    assert (await http.get(f"/orders/{order_id}/status")).json()["state"] == "failed"
    problem(await http.post(f"/orders/{order_id}/updates/cancel", json=CANCEL), 409, "order-closed")
    assert (await http.get(f"/orders/{order_id}/stream")).status_code == 204


# The client


async def test_the_client_speaks_the_whole_api(orderkit: OrderkitClient, order_id: OrderId) -> None:
    order = StartOrder.model_validate({"review": "human", "policy": "budget"})
    assert (await orderkit.start(order_id, order)).created
    assert not (await orderkit.start(order_id, order)).created
    with pytest.raises(OrderConflict):
        await orderkit.start(order_id)
    change = UpdateAddressBody(new_address=AddressBody.model_validate(ADDRESS), updated_by="ada")
    assert (await orderkit.update_address(order_id, change)).sent == "update-address"
    assert (await orderkit.update_address_now(order_id, change)).message == "the address is changed"
    assert (await orderkit.approve(order_id, "grace")).sent == "approve"
    with pytest.raises(MessageRefused, match="approved already, by grace"):
        await orderkit.review_now(order_id, False, "ada")
    assert (await orderkit.wait(order_id, 20)).outcome == "shipped"
    types = [event.type async for event in orderkit.stream(order_id, within_seconds=10)]
    assert types == [event.type for event in (await orderkit.events(order_id)).events]
    assert [attempt.attempt for attempt in (await orderkit.attempts(order_id)).attempts]
    assert (await orderkit.history(order_id, shipping_run=1)).events
    assert order_id in [line.order_id for line in (await orderkit.list(prefix=order_id)).orders]
    assert (await orderkit.health()).database.ok


async def test_the_client_resumes_a_stream_that_breaks(served: str, http: httpx.AsyncClient, order_id: OrderId) -> None:
    host, _, port = served.removeprefix("http://").partition(":")
    await http.post(f"/orders/{order_id}/start", json={"review": "human", "deadline": 60})
    types: list[str] = []
    async with Gate((host, int(port))) as gate, OrderkitClient(f"http://127.0.0.1:{gate.port}") as orderkit:
        async for event in orderkit.stream(order_id, within_seconds=30):
            types.append(event.type)
            if event.type == "review_opened":
                await gate.shut()
                await http.post(f"/orders/{order_id}/signals/approve", json=REVIEW)
                await state_is(http, order_id, "shipped")  # while nobody listens
                await gate.open()
    events = (await http.get(f"/orders/{order_id}/events")).json()["events"]
    assert types == [event["type"] for event in events]


async def test_the_clients_errors_are_orderkits_own(orderkit: OrderkitClient, order_id: OrderId) -> None:
    with pytest.raises(OrderNotFound):
        await orderkit.status(order_id)
    with pytest.raises(OrderNotFound):
        _ = [event async for event in orderkit.stream(order_id)]
    with pytest.raises(InvalidOrder, match="order_id"):
        await orderkit.status("a/../b")
    with pytest.raises(InvalidOrder) as invalid:
        await orderkit.start(order_id, StartOrder(faults=FaultsBody(script={Step.REFUND: ["decline"]})))
    assert [each.field for each in invalid.value.problems] == ["faults"]
    await orderkit.start(order_id, StartOrder(review="none"))
    await orderkit.wait(order_id)
    with pytest.raises(OrderClosed):
        await orderkit.cancel(order_id, "ada")
    async with OrderkitClient("http://127.0.0.1:9") as nobody:
        with pytest.raises(DependencyUnavailable, match="orderkit up"):
            await nobody.health()


async def test_the_clients_stream_is_bounded(orderkit: OrderkitClient, order_id: OrderId) -> None:
    await orderkit.start(order_id, StartOrder(review="human"))
    types = [event.type async for event in orderkit.stream(order_id, within_seconds=1)]
    assert "order_received" in types
    await orderkit.cancel_now(order_id, "ada")


# Processes


async def test_health_sees_a_killed_worker_within_seconds(
    http: httpx.AsyncClient, servers: Stack, tmp_path: Path
) -> None:
    async def pollers() -> int:
        return int((await http.get("/health")).json()["pollers"]["order-tq"])

    async def at_least(count: int) -> bool:
        return await pollers() >= count

    await until(lambda: at_least(1), "the worker of this process is seen")
    before = await pollers()
    code = "import asyncio; from orderkit.worker import run_worker; from orderkit.settings import Settings;"
    worker = await process(f"{code} asyncio.run(run_worker(Settings()))", servers, tmp_path)
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
    code = "from orderkit.api.serve import run_api; from orderkit.settings import Settings; run_api(Settings())"
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
