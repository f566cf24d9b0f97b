"""`orderkit.client` against the served API."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import httpx
import pytest
from support.api import ADDRESS, REVIEW, Gate, state_is
from support.shop import until

from orderkit.client import OrderkitClient
from orderkit.client.connections import STREAMS_AT_ONCE
from orderkit.contract import AddressBody, FaultsBody, History, HistoryEvent, OrderStatus, StartOrder, UpdateAddressBody
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
from orderkit.store.database import Pool


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


async def test_a_break_after_the_last_event_does_not_end_a_wait(
    orderkit: OrderkitClient, order_id: OrderId, monkeypatch: pytest.MonkeyPatch
) -> None:
    await orderkit.start(order_id, StartOrder(review="none", deadline=60))
    breaks = [DependencyUnavailable("postgresql", "PostgreSQL does not answer"), None]
    ask = orderkit.status

    async def status(order_id: str) -> OrderStatus:
        if error := breaks.pop(0):
            raise error
        return await ask(order_id)

    monkeypatch.setattr(orderkit, "status", status)
    assert (await orderkit.wait(order_id, 30)).outcome == "shipped"
    assert breaks == []


async def test_hundreds_of_waits_at_once_leave_room_for_other_calls_and_for_new_waits(
    orderkit: OrderkitClient, served: str, order_id: OrderId
) -> None:
    await orderkit.start(order_id, StartOrder(review="human", deadline=60))
    async with OrderkitClient(served) as another:
        waits = [asyncio.create_task(another.wait(order_id, 30)) for _ in range(150)]

        async def all_wait() -> bool:
            return (await another._connections.get()).followers == len(waits)

        await until(all_wait, "every wait has begun")
        assert (await another.status(order_id)).outcome is None
        async for event in another.stream(order_id, within_seconds=20):
            if event.type == "review_opened":
                break
        await another.approve(order_id, "grace")
        assert {status.outcome for status in await asyncio.gather(*waits)} == {"shipped"}
        assert (await another._connections.get()).followers == 0


async def test_stream_without_a_connection_of_its_own_has_the_same_events_and_ends(
    orderkit: OrderkitClient, served: str, order_id: OrderId
) -> None:
    await orderkit.start(order_id, StartOrder(review="none"))
    async with OrderkitClient(served) as busy:
        (await busy._connections.get()).followers = STREAMS_AT_ONCE
        types = [event.type async for event in busy.stream(order_id, within_seconds=20)]
    events = (await orderkit.events(order_id)).events
    assert types == [event.type for event in events][: len(types)]
    assert "order_shipped" in types


async def test_one_client_serves_several_event_loops_and_opens_again_after_it_was_closed(
    orderkit: OrderkitClient, served: str, order_id: OrderId
) -> None:
    await orderkit.start(order_id, StartOrder(review="none"))
    client = OrderkitClient(served)
    for _ in range(2):
        assert (await client.wait(order_id)).outcome == "shipped"
        told = await asyncio.to_thread(lambda: asyncio.run(client.status(order_id)))
        assert told.outcome == "shipped"
        await client.aclose()
    assert not client._connections._opened[asyncio.get_running_loop()].holder


async def test_wrong_types_are_orderkits_own_errors(orderkit: OrderkitClient, order_id: OrderId) -> None:
    with pytest.raises(InvalidOrder, match="cancelled_by"):
        await orderkit.cancel(order_id, "")
    with pytest.raises(InvalidOrder, match=r"reviewer.*note|note.*reviewer"):
        await orderkit.review_now(order_id, True, 5, 6)  # type: ignore[arg-type]


async def test_lists_of_more_than_one_page_are_read_whole(
    orderkit: OrderkitClient, pool: Pool, order_id: OrderId
) -> None:
    await orderkit.start(order_id, StartOrder(review="none"))
    await orderkit.wait(order_id)
    before = len((await orderkit.events(order_id)).events)
    await pool.execute(
        "INSERT INTO trellis_events (order_id, type, payload_json)"
        " SELECT $1, 'note', '{}' FROM generate_series(1, 2100)",
        order_id,
    )
    page = await orderkit.events(order_id)
    assert len(page.events) == before + 2100
    assert page.next_after is None
    assert len({event.id for event in page.events}) == before + 2100


async def test_history_of_more_than_one_page_is_read_whole() -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    events = [HistoryEvent(id=number, ts=at, type="TIMER_STARTED", attributes={}) for number in range(1, 2501)]

    def answer(request: httpx.Request) -> httpx.Response:
        rest = events[int(request.url.params.get("after", "0")) :]
        more = rest[999].id if len(rest) > 1000 else None
        page = History(workflow_id="w", run_id="r", status="RUNNING", events=rest[:1000], next_after=more)
        assert request.url.params["shipping_run"] == "1"
        return httpx.Response(200, text=page.model_dump_json())

    async with OrderkitClient(transport=httpx.MockTransport(answer)) as client:
        history = await client.history("A-1", shipping_run=1)
    assert history.events == events
    assert history.next_after is None
