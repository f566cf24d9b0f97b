"""The REST API: lists, events, history, the stream, health and documents."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from support.api import ADDRESS, MOVE, QUICK, REVIEW, SECRETS, problem, state_is
from support.shop import until

from orderkit.core.orders import OrderId

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


async def test_the_first_page_tells_how_many_there_are(http: httpx.AsyncClient, order_id: OrderId) -> None:
    for number in range(3):
        await http.post(f"/orders/{order_id}.{number}/start", json=QUICK)
        await state_is(http, f"{order_id}.{number}", "shipped")
    query = {"prefix": order_id, "limit": "2"}
    first = (await http.get("/orders", params=query)).json()
    assert (len(first["orders"]), first["total"]) == (2, 3)
    rest = (await http.get("/orders", params=query | {"cursor": first["next_cursor"]})).json()
    assert (len(rest["orders"]), rest["total"]) == (1, None)
    assert (await http.get("/orders", params={"prefix": order_id})).json()["total"] == 3
    assert (await http.get("/orders", params={"prefix": order_id, "state": "failed"})).json()["total"] == 0


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
