"""What Temporal's UI and lists say of an order: summaries, details, search attributes; and old servers do without."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from support.api import ADDRESS, QUICK, SECRETS, state_is
from support.shop import until
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client
from temporalio.common import SearchAttributeKey

from orderkit.core.orders import OrderId, order_workflow_id
from orderkit.errors import MessageRefused
from orderkit.stack.temporal import SEARCH_ATTRIBUTES
from orderkit.temporal import search
from orderkit.temporal.search import POLICY, STATE, count_orders, find_orders
from orderkit.temporal.server import register_keywords


async def placed(http: httpx.AsyncClient, order_id: OrderId, **body: Any) -> None:
    answer = await http.post(f"/orders/{order_id}/start", json={**QUICK, "initial_address": ADDRESS, **body})
    assert answer.status_code == 201, answer.text


async def test_the_ui_tells_the_story(http: httpx.AsyncClient, client: Client, order_id: OrderId) -> None:
    await placed(http, order_id, review="auto", review_seconds=0.1)
    await state_is(http, order_id, "shipped")
    handle = client.get_workflow_handle(order_workflow_id(order_id))
    await handle.result()
    described = await handle.describe()
    assert await described.static_summary() == "50.90, policy budget"
    assert await described.static_details() == "review auto, deadline 15 s, faults calm"
    summaries = [
        await client.data_converter.decode([event.user_metadata.summary], [str])
        for event in (await handle.fetch_history()).events
        if event.HasField("activity_task_scheduled_event_attributes")
        or event.HasField("timer_started_event_attributes")
    ]
    told = [text for (text,) in summaries]
    assert {"note the order", "take the money", "review: approved when it goes off, unless a person is faster"} <= {
        *told
    }
    assert any(text.startswith("deadline of 15 s") for text in told)
    metadata: WorkflowMetadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    lines = [line.split(" ", 2)[2] for line in metadata.current_details.splitlines()]
    assert lines == ["received", "in review (auto)", "approved by timer", "charged",
                     "with the carrier: from here on it ships", "shipped"]  # fmt: skip
    for hidden in SECRETS.values():
        assert hidden not in metadata.current_details + " ".join(told)


async def test_orders_are_found_by_policy_and_state(http: httpx.AsyncClient, client: Client, order_id: OrderId) -> None:
    waits, ended = OrderId(f"{order_id}-waits"), OrderId(f"{order_id}-ended")
    await placed(http, waits, review="human", policy="spec")
    await placed(http, ended)
    await state_is(http, ended, "shipped")
    mine = f"WorkflowId STARTS_WITH 'order-{order_id}'"

    async def are_listed() -> bool:
        found = {order.order_id: order for order in await find_orders(client, mine, 10)}
        states = {key: (order.state, order.policy) for key, order in found.items()}
        return states == {waits: ("in_review", "spec"), ended: ("shipped", "budget")}

    await until(are_listed, "both are listed with their states")
    assert await count_orders(client, f"{mine} AND OrderPolicy = 'spec'") == {"in_review": 1}
    await http.post(f"/orders/{waits}/updates/review", json={"approve": True, "reviewer": "grace"})
    await state_is(http, waits, "shipped")

    async def both_shipped() -> bool:
        return await count_orders(client, mine) == {"shipped": 2}

    await until(both_shipped, "both are counted as shipped")
    with pytest.raises(MessageRefused, match="cannot search like that"):
        await find_orders(client, "OrderState = ", 1)


async def test_a_lab_of_an_earlier_version_gets_the_attributes(client: Client) -> None:
    assert await register_keywords(client, SEARCH_ATTRIBUTES) == []  # a new lab has them from its start
    assert {STATE.name, POLICY.name} == set(SEARCH_ATTRIBUTES)
    assert await register_keywords(client, ["OrderShade"]) == ["OrderShade"]

    async def is_known() -> bool:
        return await register_keywords(client, ["OrderShade"]) == []

    await until(is_known, "the server knows it")


async def test_a_server_without_the_attributes_takes_orders_all_the_same(
    http: httpx.AsyncClient, client: Client, order_id: OrderId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "POLICY", SearchAttributeKey.for_keyword("NobodyRegisteredThis"))
    monkeypatch.setattr(search, "_without", {})
    await placed(http, order_id)
    await state_is(http, order_id, "shipped")
    assert client in search._without
    await placed(http, OrderId(f"{order_id}-2"))  # not asked again
    async with asyncio.timeout(10):
        described = await client.get_workflow_handle(order_workflow_id(order_id)).describe()
    assert described.typed_search_attributes.get(STATE) is None
