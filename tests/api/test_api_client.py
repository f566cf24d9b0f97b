"""`orderkit.client` against the served API."""

from __future__ import annotations

import httpx
import pytest
from support.api import ADDRESS, REVIEW, Gate, state_is

from orderkit.client import OrderkitClient
from orderkit.contract import AddressBody, FaultsBody, StartOrder, UpdateAddressBody
from orderkit.core.orders import OrderId
from orderkit.core.steps import Step
from orderkit.errors import (
    DependencyUnavailable,
    InvalidOrder,
    MessageRefused,
    OrderClosed,
    OrderConflict,
    OrderNotFound,
)


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
