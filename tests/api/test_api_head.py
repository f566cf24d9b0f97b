"""HEAD, and header values that nobody should send."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from support.api import QUICK, problem, state_is

from orderkit.core.orders import OrderId


async def test_head_answers_as_get_does_without_a_body(http: httpx.AsyncClient, order_id: OrderId) -> None:
    await http.post(f"/orders/{order_id}/start", json=QUICK)
    await state_is(http, order_id, "shipped")
    paths = ["/health", "/metrics", "/docs", "/openapi.json", "/orders", "/orders/nobody/status"]
    paths += [f"/orders/{order_id}/{name}" for name in ("status", "events", "attempts", "history")]
    for path in paths:
        head, get = await http.head(path), await http.get(path)
        assert head.status_code == get.status_code, path
        assert head.headers["content-type"] == get.headers["content-type"], path
        assert head.content == b"", path


async def test_head_of_what_only_answers_post_is_refused(http: httpx.AsyncClient, order_id: OrderId) -> None:
    answer = await http.head(f"/orders/{order_id}/start")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_head_of_a_stream_ends_while_its_order_runs(
    served: str, http: httpx.AsyncClient, order_id: OrderId
) -> None:
    await http.post(f"/orders/{order_id}/start", json={"review": "human", "deadline": 60})
    await state_is(http, order_id, "in_review")
    async with asyncio.timeout(5), httpx.AsyncClient(base_url=served, timeout=5) as browser:
        answer = await browser.head(f"/orders/{order_id}/stream")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert (await browser.get("/health")).json()["database"]["ok"]  # on the same connection
    await http.post(f"/orders/{order_id}/updates/cancel", json={"cancelled_by": "ada"})


@pytest.mark.parametrize("odd", ["abc", "-1", "1.5", "9" * 19, "", "null"])
async def test_odd_last_event_id_is_refused_in_a_sentence(http: httpx.AsyncClient, order_id: OrderId, odd: str) -> None:
    await http.post(f"/orders/{order_id}/start", json=QUICK)
    told = problem(await http.get(f"/orders/{order_id}/stream", headers={"Last-Event-ID": odd}), 422, "invalid-request")
    message = "send the id of the last event that you have: a whole number"
    assert told["errors"] == [{"field": "last-event-id", "message": message}]


async def test_odd_idempotency_key_is_refused_in_a_sentence(http: httpx.AsyncClient, order_id: OrderId) -> None:
    answer = await http.post(
        f"/orders/{order_id}/updates/cancel", json={"cancelled_by": "ada"}, headers={"Idempotency-Key": "a b"}
    )
    told = problem(answer, 422, "invalid-request")
    message = "use 1 to 64 letters, digits, or . _ ~ -"
    assert told["errors"] == [{"field": "idempotency-key", "message": message}]
