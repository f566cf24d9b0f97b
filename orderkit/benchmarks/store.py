"""The writes of orders alone, without Temporal: what PostgreSQL and its driver can take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from orderkit.business import Business
from orderkit.core.calls import Attempt
from orderkit.core.events import AttemptOutcome
from orderkit.core.faults import FaultPlan
from orderkit.core.orders import OrderId, OrderInput, Review
from orderkit.core.ports import AttemptRecord
from orderkit.core.steps import Step
from orderkit.store.database import Pool
from orderkit.store.events import PostgresAttemptLog
from orderkit.store.made import tell_of_events
from orderkit.worker.process import business_on

_FORWARD = (Step.RECEIVE, Step.VALIDATE, Step.CHARGE, Step.PREPARE, Step.DISPATCH, Step.SHIP)


@dataclass(frozen=True)
class StoreRate:
    """Orders a second whose writes are all committed, `at_once` of them at a time."""

    at_once: int
    notified: bool  # whether listeners get a notification of each event
    per_second: float


async def measure(pool: Pool, orders: int, tell: Callable[[str], None] = lambda _: None) -> list[StoreRate]:
    """Write that many orders, one at a time and 40 at once, with and without notification.

    In a database of its own: it leaves the orders there.
    """
    found = []
    try:
        for at_once in (1, 40):
            for notified in (True, False):
                tell(f"{at_once} at once, {'with' if notified else 'without'} notification")
                await tell_of_events(pool, notified)
                seconds = await _write_all(pool, orders, at_once, f"s{at_once}-{notified:d}".lower())
                found.append(StoreRate(at_once, notified, orders / seconds))
    finally:
        await tell_of_events(pool, True)
    return found


async def _write_all(pool: Pool, orders: int, at_once: int, prefix: str) -> float:
    business, log = business_on(pool), PostgresAttemptLog(pool)
    numbers = iter(range(orders))

    async def write_some() -> None:
        for number in numbers:
            await _write(business, log, OrderId(f"{prefix}-{number}"))

    began = time.perf_counter()
    await asyncio.gather(*(write_some() for _ in range(at_once)))
    return time.perf_counter() - began


async def _write(business: Business, log: PostgresAttemptLog, order_id: OrderId) -> None:
    """What the activities of a calm order without review write, in their order."""
    order = OrderInput(order_id, review=Review.NONE)
    calls = {
        Step.RECEIVE: lambda attempt: business.order_received(attempt, order, datetime.now(UTC)),
        Step.VALIDATE: lambda attempt: business.order_validated(attempt, order),
        Step.CHARGE: lambda attempt: business.payment_charged(
            attempt, order.payment_key, order.amount_cents, "no review", ""
        ),
        Step.PREPARE: business.package_prepared,
        Step.DISPATCH: business.carrier_dispatched,
        Step.SHIP: business.order_shipped,
    }
    for number, step in enumerate(_FORWARD):
        attempt = Attempt(order_id, step, 1, FaultPlan())
        record = AttemptRecord(attempt, 1, "bench", f"order-{order_id}", f"run-{order_id}", str(number))
        await log.started(record, "ok", 3.0)
        await calls[step](attempt)
        await log.ended(replace(record), AttemptOutcome.COMPLETED, "")
