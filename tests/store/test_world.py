"""The outside world's own API: idempotent by key, and final where it refuses. Late attempts end here."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.shop import Shop

from orderkit.core.calls import RefundResult
from orderkit.core.orders import DEFAULT_ADDRESS, OrderId, PaymentId
from orderkit.errors import KeyRefused
from orderkit.store.world import SimulatedCarrier, SimulatedPaymentProvider


async def ledger(shop: Shop, order_id: OrderId) -> list[tuple[str, float | None]]:
    return [(row["kind"], row["amount"] and float(row["amount"])) for row in await shop.reader.ledger(order_id)]


async def test_a_key_is_charged_once(shop: Shop, order_id: OrderId) -> None:
    provider, key = SimulatedPaymentProvider(shop.pool), PaymentId(f"p-{order_id}")
    for _ in range(3):
        await provider.charge(key, order_id, 1_000)
    assert await ledger(shop, order_id) == [("charge", 10)]


async def test_a_void_refunds_what_came_before_and_refuses_what_comes_later(shop: Shop, order_id: OrderId) -> None:
    provider, key = SimulatedPaymentProvider(shop.pool), PaymentId(f"p-{order_id}")
    await provider.charge(key, order_id, 1_000)
    for _ in range(2):
        assert await provider.void(key, order_id) == RefundResult(1_000, 1_000)
    with pytest.raises(KeyRefused, match="voided"):
        await provider.charge(key, order_id, 1_000)
    assert await ledger(shop, order_id) == [("charge", 10), ("refund", -10), ("refused", 10)]


async def test_a_void_before_the_charge_refuses_the_late_charge(shop: Shop, order_id: OrderId) -> None:
    provider, key = SimulatedPaymentProvider(shop.pool), PaymentId(f"p-{order_id}")
    assert await provider.void(key, order_id) == RefundResult(0, 0)
    with pytest.raises(KeyRefused, match="voided"):
        await provider.charge(key, order_id, 1_000)
    assert await ledger(shop, order_id) == [("void", 0), ("refused", 10)]


async def test_a_key_serves_one_order_and_one_amount(shop: Shop, order_id: OrderId) -> None:
    provider, key, other = SimulatedPaymentProvider(shop.pool), PaymentId(f"p-{order_id}"), OrderId(f"{order_id}-b")
    await provider.charge(key, order_id, 1_000)
    with pytest.raises(KeyRefused, match="something else"):
        await provider.charge(key, other, 1_000)
    with pytest.raises(KeyRefused, match="something else"):
        await provider.charge(key, order_id, 2_000)
    assert await provider.void(key, other) == RefundResult(0, 0)
    assert ("refund", -10) not in await ledger(shop, order_id)


async def test_two_orders_cannot_share_a_payment(shop: Shop, order_id: OrderId) -> None:
    """The second one is rejected, and its compensation leaves the first one's money alone."""
    other = OrderId(f"{order_id}-b")
    assert await shop.end(await shop.start(order_id, payment_id="shared-" + order_id)) == "shipped"
    assert await shop.end(await shop.start(other, payment_id="shared-" + order_id)) == "rejected"
    assert await shop.findings(order_id, other) == []
    assert "refused" not in [kind for kind, _ in await ledger(shop, other)], "we know, so the provider is not asked"


async def test_a_package_is_taken_once_and_relabelled(shop: Shop, order_id: OrderId) -> None:
    carrier = SimulatedCarrier(shop.pool)
    tracking = await carrier.dispatch(order_id, order_id, DEFAULT_ADDRESS)
    assert await carrier.dispatch(order_id, order_id, DEFAULT_ADDRESS) == tracking
    await carrier.dispatch(order_id, order_id, replace(DEFAULT_ADDRESS, city="Portland"))
    assert await ledger(shop, order_id) == [("dispatch", None), ("relabel", None)]


@pytest.mark.parametrize("dispatched_before", [True, False])
async def test_a_recalled_package_is_refused_for_ever(shop: Shop, order_id: OrderId, dispatched_before: bool) -> None:
    carrier = SimulatedCarrier(shop.pool)
    if dispatched_before:
        await carrier.dispatch(order_id, order_id, DEFAULT_ADDRESS)
    for _ in range(2):
        assert await carrier.recall(order_id, order_id) is dispatched_before
    with pytest.raises(KeyRefused, match="recalled"):
        await carrier.dispatch(order_id, order_id, DEFAULT_ADDRESS)
    async with shop.pool.acquire() as connection:
        row = await connection.fetchrow("SELECT * FROM world.shipments WHERE key = $1", order_id)
    assert row is not None and row["recalled_at"] is not None
    assert (row["dispatched_at"] is not None) is dispatched_before
