"""The auditor reads two sources, one after the other, while orders go on."""

from __future__ import annotations

import pytest
from support.shop import Shop
from temporalio.client import Client

from orderkit.audit import collect
from orderkit.audit.facts import HistoryFact
from orderkit.core.messages import ReviewDecision
from orderkit.core.orders import OrderId, OrderState, Review


async def test_an_order_that_ends_between_the_two_reads_is_no_finding(
    shop: Shop, order_id: OrderId, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = await shop.start(order_id, review=Review.HUMAN)
    await shop.step_reached(order_id, "review")
    read_history = collect.read_history

    async def after_its_end(client: Client, workflow_id: str, first_run_id: str | None = None) -> HistoryFact | None:
        await handle.signal("approve_order", ReviewDecision("grace", "fine"))
        assert await shop.end(handle) == OrderState.SHIPPED
        return await read_history(client, workflow_id, first_run_id)

    monkeypatch.setattr(collect, "read_history", after_its_end)
    assert await shop.findings(order_id) == []


async def test_an_order_that_ends_right_after_its_history_was_read_is_no_finding(
    shop: Shop, order_id: OrderId, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = await shop.start(order_id, review=Review.HUMAN)
    await shop.step_reached(order_id, "review")
    read_history = collect.read_history

    async def before_its_end(client: Client, workflow_id: str, first_run_id: str | None = None) -> HistoryFact | None:
        history = await read_history(client, workflow_id, first_run_id)
        await handle.signal("approve_order", ReviewDecision("grace", "fine"))
        assert await shop.end(handle) == OrderState.SHIPPED
        return history

    monkeypatch.setattr(collect, "read_history", before_its_end)
    assert await shop.findings(order_id) == []
