"""What changes while an attempt has the carrier on the line: the statement that ends the attempt sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from support.shop import Shop

from orderkit.business import Business
from orderkit.core.calls import Attempt
from orderkit.core.faults import FaultPlan
from orderkit.core.messages import Stop, StopKind, UpdateAddress
from orderkit.core.orders import DEFAULT_ADDRESS, Address, OrderId, OrderInput, OrderState
from orderkit.core.steps import Step
from orderkit.errors import StepRefused
from orderkit.store.orders import PostgresOrders
from orderkit.store.world import SimulatedCarrier, SimulatedPaymentProvider
from orderkit.worker.process import ProcessClock

NEW_ADDRESS = replace(DEFAULT_ADDRESS, street="2 Side Street")


@dataclass
class SlowCarrier:
    """The carrier, whose answer takes long enough for something to happen, once."""

    carrier: SimulatedCarrier
    happens: Callable[[], Awaitable[object]]
    labels: list[Address] = field(default_factory=list)

    async def dispatch(self, key: str, order_id: OrderId, address: Address) -> str:
        tracking = await self.carrier.dispatch(key, order_id, address)
        if not self.labels:
            await self.happens()
        self.labels.append(address)
        return tracking

    async def recall(self, key: str, order_id: OrderId) -> bool:
        return await self.carrier.recall(key, order_id)


async def dispatch_while(shop: Shop, order_id: OrderId, happens: Callable[[], Awaitable[object]]) -> SlowCarrier:
    """One attempt of dispatch on a prepared order; what happens meanwhile."""
    orders, carrier = PostgresOrders(shop.pool), SlowCarrier(SimulatedCarrier(shop.pool), happens)
    business = Business(orders, SimulatedPaymentProvider(shop.pool), carrier, ProcessClock())
    order = OrderInput(order_id=order_id)
    calm = FaultPlan()
    await business.order_received(Attempt(order_id, Step.RECEIVE, 1, calm), order, datetime.now(UTC))
    await business.order_validated(Attempt(order_id, Step.VALIDATE, 1, calm), order)
    charge = Attempt(order_id, Step.CHARGE, 1, calm)
    await business.payment_charged(charge, order.payment_key, order.amount_cents, "review", "")
    await business.package_prepared(Attempt(order_id, Step.PREPARE, 1, calm))
    await business.carrier_dispatched(Attempt(order_id, Step.DISPATCH, 1, calm))
    return carrier


async def test_an_order_that_is_stopped_meanwhile_is_not_dispatched(shop: Shop, order_id: OrderId) -> None:
    stop = Stop(StopKind.CANCELLED, "changed my mind", "ann")
    with pytest.raises(StepRefused, match="compensating"):
        await dispatch_while(shop, order_id, lambda: PostgresOrders(shop.pool).stop(order_id, stop))
    assert await shop.state(order_id) is OrderState.COMPENSATING


async def test_an_address_that_changes_meanwhile_is_on_the_label(shop: Shop, order_id: OrderId) -> None:
    change = UpdateAddress(NEW_ADDRESS, "ann")
    orders = PostgresOrders(shop.pool)
    carrier = await dispatch_while(shop, order_id, lambda: orders.change_address(order_id, change, 0))
    assert carrier.labels == [DEFAULT_ADDRESS, NEW_ADDRESS]
    assert [row["kind"] for row in await shop.reader.ledger(order_id)] == ["charge", "dispatch", "relabel"]
    assert await shop.state(order_id) is OrderState.DISPATCHED
