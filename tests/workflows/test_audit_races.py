"""The auditor reads two sources, one after the other, while orders go on."""

from __future__ import annotations

import pytest
from support.shop import Shop
from temporalio.client import Client

from orderkit.audit import collect
from orderkit.audit.facts import HistoryFact
from orderkit.core.messages import ReviewDecision
from orderkit.core.orders import OrderId, OrderState, Review


@pytest.mark.parametrize("ends", ["before its history is read", "after its history was read"])
async def test_an_order_that_ends_during_the_audit_is_no_finding(
    shop: Shop, order_id: OrderId, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    handle = await shop.start(order_id, review=Review.HUMAN)
    await shop.step_reached(order_id, "review")
    read_history = collect.read_history

    async def end() -> None:
        await handle.signal("approve_order", ReviewDecision("grace", "fine"))
        assert await shop.end(handle) == OrderState.SHIPPED

    async def read(client: Client, workflow_id: str, first_run_id: str | None = None) -> HistoryFact | None:
        if ends.startswith("before"):
            await end()
        history = await read_history(client, workflow_id, first_run_id)
        if ends.startswith("after"):
            await end()
        return history

    monkeypatch.setattr(collect, "read_history", read)
    assert await shop.findings(order_id) == []
