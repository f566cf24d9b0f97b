"""The REST API on real PostgreSQL and a real Temporal server: starting orders, their status, and messages to them."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from support.api import ADDRESS, CANCEL, MESSAGES, MOVE, QUICK, REVIEW, SECRETS, problem, state_is
from support.shop import Shop, delete_workflow, until
from temporalio.client import Client

from orderkit.contract import StartOrder
from orderkit.core.orders import OrderId, order_workflow_id
from orderkit.store.orders import PostgresOrders

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
    await http.post(f"/orders/{order_id}/start", json=QUICK)
    await client.get_workflow_handle(order_workflow_id(order_id)).result()
    await delete_workflow(client, order_workflow_id(order_id))
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
        ({"faults": {"script": {"nap": ["ok"]}}}, {"faults.script.nap"}),
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
    for step in ("ship", "charge"):
        await shop.pool.execute(
            "DELETE FROM trellis_events WHERE order_id = $1 AND step = $2 AND type = 'step_ended'", order_id, step
        )

    async def errors() -> list[tuple[str, str]]:
        status = (await http.get(f"/orders/{order_id}/status")).json()
        return [(error["step"], error["outcome"]) for error in status["errors"]]

    assert await errors() == []

    async def charge_is_lost() -> bool:
        return await errors() == [("charge", "lost")]

    await until(charge_is_lost, "the time limit of the charge is over")


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
