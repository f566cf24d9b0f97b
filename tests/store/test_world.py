"""The outside world's own API: idempotent by key, and final where it refuses. Late attempts end here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, replace
from typing import TypeVar, cast

import pytest
import pytest_asyncio
from support.postgresql import on_newest_and_oldest
from support.shop import Shop, until

from orderkit.core.calls import RefundResult
from orderkit.core.orders import DEFAULT_ADDRESS, OrderId, PaymentId
from orderkit.core.world import SLOW_SECONDS, Service, ServiceState
from orderkit.errors import Declined, KeyRefused, ServiceDown
from orderkit.store.database import Pool
from orderkit.store.queries import queries
from orderkit.store.world import SimulatedCarrier, SimulatedPaymentProvider, read_switches, set_switch

T = TypeVar("T")
pytestmark = on_newest_and_oldest


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


async def in_the_middle_of(shop: Shop, first: Callable[[Pool], Awaitable[object]], second: Awaitable[T]) -> T:
    """What the second request comes to when it begins before the first has committed, and has to wait for it."""
    async with shop.pool.acquire() as connection:
        blocked = "SELECT count(*) FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))"
        transaction = connection.transaction()
        await transaction.start()
        await first(cast(Pool, connection))
        waiting = asyncio.ensure_future(second)

        async def waits() -> bool:
            return bool(await shop.pool.fetchval(blocked, connection.get_server_pid()))

        await until(waits, "the second request waits for the first")
        await transaction.commit()
    return await waiting


async def test_two_charges_at_once_charge_once(shop: Shop, order_id: OrderId) -> None:
    provider, key = SimulatedPaymentProvider(shop.pool), PaymentId(f"p-{order_id}")
    await in_the_middle_of(
        shop,
        lambda pool: SimulatedPaymentProvider(pool).charge(key, order_id, 1_000),
        provider.charge(key, order_id, 1_000),
    )
    assert await ledger(shop, order_id) == [("charge", 10)]


async def test_a_void_in_the_middle_of_a_charge_refunds_it(shop: Shop, order_id: OrderId) -> None:
    provider, key = SimulatedPaymentProvider(shop.pool), PaymentId(f"p-{order_id}")
    refund = await in_the_middle_of(
        shop, lambda pool: SimulatedPaymentProvider(pool).charge(key, order_id, 1_000), provider.void(key, order_id)
    )
    assert refund == RefundResult(1_000, 1_000)
    assert await ledger(shop, order_id) == [("charge", 10), ("refund", -10)]


@pytest.mark.parametrize("charged_before", [True, False])
async def test_a_charge_in_the_middle_of_a_void_is_refused(shop: Shop, order_id: OrderId, charged_before: bool) -> None:
    provider, key = SimulatedPaymentProvider(shop.pool), PaymentId(f"p-{order_id}")
    if charged_before:
        await provider.charge(key, order_id, 1_000)
    with pytest.raises(KeyRefused, match="voided"):
        await in_the_middle_of(
            shop,
            lambda pool: SimulatedPaymentProvider(pool).void(key, order_id),
            provider.charge(key, order_id, 1_000),
        )
    before = [("charge", 10), ("refund", -10)] if charged_before else [("void", 0)]
    assert await ledger(shop, order_id) == [*before, ("refused", 10)]


async def test_a_second_void_tells_of_a_charge_that_it_did_not_see_when_it_began(shop: Shop, order_id: OrderId) -> None:
    provider, key = SimulatedPaymentProvider(shop.pool), PaymentId(f"p-{order_id}")

    async def charge_and_void(pool: Pool) -> None:
        await SimulatedPaymentProvider(pool).charge(key, order_id, 1_000)
        await SimulatedPaymentProvider(pool).void(key, order_id)

    assert await in_the_middle_of(shop, charge_and_void, provider.void(key, order_id)) == RefundResult(1_000, 1_000)
    assert await ledger(shop, order_id) == [("charge", 10), ("refund", -10)]


async def test_a_dispatch_in_the_middle_of_another_prints_a_label(shop: Shop, order_id: OrderId) -> None:
    elsewhere = replace(DEFAULT_ADDRESS, city="Portland")
    await in_the_middle_of(
        shop,
        lambda pool: SimulatedCarrier(pool).dispatch(order_id, order_id, DEFAULT_ADDRESS),
        SimulatedCarrier(shop.pool).dispatch(order_id, order_id, elsewhere),
    )
    assert await ledger(shop, order_id) == [("dispatch", None), ("relabel", None)]
    label = await shop.pool.fetchval("SELECT label_json ->> 'city' FROM world.shipments WHERE key = $1", order_id)
    assert label == "Portland"


@pytest.mark.parametrize("dispatched_before", [True, False])
async def test_a_dispatch_in_the_middle_of_a_recall_is_refused(
    shop: Shop, order_id: OrderId, dispatched_before: bool
) -> None:
    carrier = SimulatedCarrier(shop.pool)
    if dispatched_before:
        await carrier.dispatch(order_id, order_id, DEFAULT_ADDRESS)
    with pytest.raises(KeyRefused, match="recalled"):
        await in_the_middle_of(
            shop,
            lambda pool: SimulatedCarrier(pool).recall(order_id, order_id),
            carrier.dispatch(order_id, order_id, DEFAULT_ADDRESS),
        )
    before = [("dispatch", None), ("recall", None)] if dispatched_before else [("void", None)]
    assert await ledger(shop, order_id) == [*before, ("refused", None)]


@pytest.mark.parametrize("recalled_before", [True, False])
async def test_a_recall_in_the_middle_of_a_dispatch_gives_the_package_back(
    shop: Shop, order_id: OrderId, recalled_before: bool
) -> None:
    async def dispatch(pool: Pool) -> None:
        await SimulatedCarrier(pool).dispatch(order_id, order_id, DEFAULT_ADDRESS)
        if recalled_before:
            await SimulatedCarrier(pool).recall(order_id, order_id)

    assert await in_the_middle_of(shop, dispatch, SimulatedCarrier(shop.pool).recall(order_id, order_id))
    assert await ledger(shop, order_id) == [("dispatch", None), ("recall", None)]


async def test_an_answer_under_a_known_key_waits_for_the_void_that_is_under_way(shop: Shop, order_id: OrderId) -> None:
    """As when the void begins just after the charge has found the key taken."""
    key = PaymentId(f"p-{order_id}")
    await SimulatedPaymentProvider(shop.pool).charge(key, order_id, 1_000)
    row = await in_the_middle_of(
        shop,
        lambda pool: SimulatedPaymentProvider(pool).void(key, order_id),
        queries.provider_charge_again(shop.pool, key=key, order_id=order_id, amount=10),
    )
    assert row["voided_at"] is not None
    assert await ledger(shop, order_id) == [("charge", 10), ("refund", -10), ("refused", 10)]


async def test_an_answer_under_a_known_key_waits_for_the_recall_that_is_under_way(
    shop: Shop, order_id: OrderId
) -> None:
    await SimulatedCarrier(shop.pool).dispatch(order_id, order_id, DEFAULT_ADDRESS)
    label = asdict(replace(DEFAULT_ADDRESS, city="Portland"))
    row = await in_the_middle_of(
        shop,
        lambda pool: SimulatedCarrier(pool).recall(order_id, order_id),
        queries.carrier_dispatch_again(shop.pool, key=order_id, order_id=order_id, label=label),
    )
    assert row["recalled_at"] is not None
    assert await ledger(shop, order_id) == [("dispatch", None), ("recall", None), ("refused", None)]
    kept = await shop.pool.fetchval("SELECT label_json ->> 'city' FROM world.shipments WHERE key = $1", order_id)
    assert kept == DEFAULT_ADDRESS.city


@pytest_asyncio.fixture
async def waits(shop: Shop) -> AsyncIterator[list[float]]:
    """What the simulators wait, instead of waiting; afterwards both services are up again."""
    yield []
    for service in Service:
        await set_switch(shop.pool, service, ServiceState.UP)


async def test_a_service_that_is_down_does_nothing_until_it_is_up(
    shop: Shop, order_id: OrderId, waits: list[float]
) -> None:
    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    provider, carrier = SimulatedPaymentProvider(shop.pool, sleep), SimulatedCarrier(shop.pool, sleep)
    key = PaymentId(f"p-{order_id}")
    for service in Service:
        await set_switch(shop.pool, service, ServiceState.DOWN)
    assert await read_switches(shop.pool) == dict.fromkeys(Service, ServiceState.DOWN)
    requests: list[Callable[[], Awaitable[object]]] = [
        lambda: provider.charge(key, order_id, 1_000),
        lambda: provider.void(key, order_id),
        lambda: carrier.dispatch(order_id, order_id, DEFAULT_ADDRESS),
        lambda: carrier.recall(order_id, order_id),
    ]
    for request in requests:
        with pytest.raises(ServiceDown, match="does not answer"):
            await request()
    assert waits == [] and await ledger(shop, order_id) == []
    for service in Service:
        await set_switch(shop.pool, service, ServiceState.SLOW)
    for request in requests:
        await request()
    assert waits == [SLOW_SECONDS] * 4
    kinds = [kind for kind, _ in await ledger(shop, order_id)]
    assert kinds == ["charge", "refund", "dispatch", "recall"]


async def test_a_service_that_declines_repeats_what_it_said_and_gives_back(
    shop: Shop, order_id: OrderId, waits: list[float]
) -> None:
    provider, carrier, key = (
        SimulatedPaymentProvider(shop.pool),
        SimulatedCarrier(shop.pool),
        PaymentId(f"p-{order_id}"),
    )
    await provider.charge(key, order_id, 1_000)
    for service in Service:
        await set_switch(shop.pool, service, ServiceState.DECLINING)
    await provider.charge(key, order_id, 1_000)
    with pytest.raises(Declined, match="payment provider"):
        await provider.charge(PaymentId(f"q-{order_id}"), order_id, 1_000)
    with pytest.raises(Declined, match="carrier"):
        await carrier.dispatch(order_id, order_id, DEFAULT_ADDRESS)
    assert await provider.void(key, order_id) == RefundResult(1_000, 1_000)
    assert await ledger(shop, order_id) == [("charge", 10), ("refund", -10)]
    other = OrderId(f"{order_id}-b")
    assert await shop.end(await shop.start(other)) == "rejected"
    assert await shop.findings(other) == [] and await ledger(shop, other) == [("void", 0)]
