"""Orders while a service of the outside world is down: they ask it once a second, and go on when it is up again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise

import pytest_asyncio
from support.shop import Shop

from orderkit.core.faults import FaultPlan
from orderkit.core.messages import CancelOrder
from orderkit.core.orders import OrderId
from orderkit.core.policies import BUDGET, SPEC
from orderkit.core.world import AGAIN_SECONDS, Service, ServiceState
from orderkit.store.world import set_switch


@pytest_asyncio.fixture
async def nobody_charges(shop: Shop) -> AsyncIterator[None]:
    await set_switch(shop.pool, Service.PAYMENTS, ServiceState.DOWN)
    yield
    await set_switch(shop.pool, Service.PAYMENTS, ServiceState.UP)


async def waits(shop: Shop, order_id: OrderId, step: str) -> list[float]:
    """The seconds from each end of an attempt to the start of the next one."""
    attempts = [each for each in await shop.reader.attempts(order_id) if each["step"] == step]
    return [(after["started_at"] - before["ended_at"]).total_seconds() for before, after in pairwise(attempts)]


async def outcomes(shop: Shop, order_id: OrderId, step: str) -> set[tuple[str, str]]:
    """How its attempts ended, and of what."""
    attempts = await shop.reader.attempts(order_id)
    return {(each["outcome"], each["error"] or "") for each in attempts if each["step"] == step}


DOWN = ("failed", "ServiceDown: the payment provider does not answer")


async def check(shop: Shop, order_id: OrderId, step: str, least: list[float]) -> None:
    # The server counts from the answer, which comes a moment after the end that is on record.
    found = await waits(shop, order_id, step)
    assert all(wait > seconds - 0.05 for wait, seconds in zip(found, least, strict=False)), found
    assert await outcomes(shop, order_id, step) <= {DOWN, ("completed", "")}
    assert await shop.findings(order_id) == []


async def test_a_service_that_is_down_is_asked_once_a_second(
    shop: Shop, order_id: OrderId, nobody_charges: None
) -> None:
    handle = await shop.start(order_id, policy=BUDGET, deadline_seconds=60)
    await shop.step_reached(order_id, "charge", 3)
    await set_switch(shop.pool, Service.PAYMENTS, ServiceState.UP)
    assert await shop.end(handle) == "shipped"
    await check(shop, order_id, "charge", [AGAIN_SECONDS] * 2)


async def test_a_policy_with_longer_waits_keeps_them(shop: Shop, order_id: OrderId, nobody_charges: None) -> None:
    handle = await shop.start(order_id, policy=SPEC, deadline_seconds=60)
    await shop.step_reached(order_id, "charge", 3)
    await set_switch(shop.pool, Service.PAYMENTS, ServiceState.UP)  # for the refund of what may have been charged
    assert await shop.end(handle) in ("failed", "shipped")  # the last of three attempts may find it up
    await check(shop, order_id, "charge", [1.0, 2.0])


async def test_a_refund_waits_until_the_provider_is_up(shop: Shop, order_id: OrderId) -> None:
    handle = await shop.start(order_id, deadline_seconds=60, faults=FaultPlan(script={"dispatch": ["hang"] * 20}))
    await shop.step_reached(order_id, "dispatch")
    await set_switch(shop.pool, Service.PAYMENTS, ServiceState.DOWN)
    try:
        await handle.signal("cancel_order", CancelOrder("changed my mind", "ada@example.com"))
        await shop.step_reached(order_id, "refund", 3)
    finally:
        await set_switch(shop.pool, Service.PAYMENTS, ServiceState.UP)
    assert await shop.end(handle) == "cancelled"
    await check(shop, order_id, "refund", [AGAIN_SECONDS] * 2)
