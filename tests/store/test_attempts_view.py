"""The view trellis_attempts says what became of an attempt, and nobody else infers it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from support.postgresql import on_newest_and_oldest

from orderkit.core.calls import Attempt
from orderkit.core.events import AttemptOutcome
from orderkit.core.faults import FaultPlan
from orderkit.core.orders import ENDS, OrderId, OrderInput
from orderkit.core.ports import AttemptRecord
from orderkit.core.steps import Step
from orderkit.store.database import Pool
from orderkit.store.events import PostgresAttemptLog, Reader
from orderkit.store.orders import PostgresOrders
from orderkit.store.status import order_status

pytestmark = on_newest_and_oldest


class Order:
    """An order whose attempts are written by hand."""

    def __init__(self, pool: Pool, order_id: OrderId) -> None:
        self.pool, self.order_id = pool, order_id
        self.log = PostgresAttemptLog(pool)
        self.limit_seconds: float | None = None

    async def create(self, state: str) -> None:
        await PostgresOrders(self.pool).create(OrderInput(self.order_id), datetime.now(UTC))
        closed_at = datetime.now(UTC) if state in ENDS else None
        await self.pool.execute(
            "UPDATE trellis_orders SET state = $2, closed_at = $3 WHERE id = $1", self.order_id, state, closed_at
        )

    async def forget(self) -> None:
        """Such an order has no workflow: nobody else should meet it."""
        for table, column in (("trellis_orders", "id"), ("trellis_events", "order_id")):
            await self.pool.execute(f"DELETE FROM {table} WHERE {column} = $1", self.order_id)

    def record(self, number: int, step: Step) -> AttemptRecord:
        attempt = Attempt(self.order_id, step, number, FaultPlan())
        return AttemptRecord(attempt, number, "host:1", "order", f"run-{self.order_id}", step)

    async def start(self, number: int, step: Step = Step.CHARGE) -> None:
        await self.log.started(self.record(number, step), "ok", self.limit_seconds)

    async def end(self, number: int, outcome: AttemptOutcome, step: Step = Step.CHARGE) -> None:
        await self.log.ended(self.record(number, step), outcome, "boom")

    async def outcomes(self) -> list[str]:
        return [row["outcome"] for row in await Reader(self.pool).attempts(self.order_id)]


@pytest_asyncio.fixture
async def order(pool: Pool, order_id: OrderId) -> AsyncIterator[Order]:
    order = Order(pool, order_id)
    yield order
    await order.forget()


async def test_an_attempt_without_an_end_runs_until_a_later_one_starts(order: Order) -> None:
    await order.create("charged")
    await order.start(1)
    assert await order.outcomes() == ["running"]
    await order.start(2)
    assert await order.outcomes() == ["lost", "running"]
    status = await order_status(order.pool, order.order_id)
    assert status is not None
    assert [error["outcome"] for error in status["errors"]] == ["lost"]


async def test_an_attempt_that_completed_and_was_tried_again_is_lost(order: Order) -> None:
    await order.create("charged")
    await order.start(1)
    await order.end(1, AttemptOutcome.COMPLETED)
    await order.start(2)
    assert await order.outcomes() == ["lost", "running"]


async def test_an_attempt_that_failed_stays_failed(order: Order) -> None:
    await order.create("charged")
    await asyncio.gather(order.start(1), order.end(1, AttemptOutcome.FAILED))
    await order.start(2)
    assert await order.outcomes() == ["failed", "running"]


@pytest.mark.parametrize(
    ("step", "state", "outcome"),
    [
        (Step.SHIP, "shipped", "running"),  # it notes its own end just after the order's
        (Step.CLOSE, "failed", "running"),
        (Step.SHIP, "failed", "lost"),
        (Step.CHARGE, "failed", "lost"),
    ],
)
async def test_when_the_order_has_ended_only_the_step_that_ends_it_still_runs(
    order: Order, step: Step, state: str, outcome: str
) -> None:
    await order.create(state)
    await order.start(1, step)
    assert await order.outcomes() == [outcome]


async def test_status_and_view_agree(order: Order) -> None:
    await order.create("charged")
    for number, outcome in ((1, AttemptOutcome.FAILED), (2, AttemptOutcome.TIMED_OUT), (3, None)):
        await order.start(number)
        if outcome:
            await order.end(number, outcome)
    status = await order_status(order.pool, order.order_id)
    assert status is not None
    assert (status["step"], status["attempts"]) == ("charge", {"charge": 3})
    assert [(error["attempt"], error["outcome"]) for error in status["errors"]] == [(2, "timed_out"), (1, "failed")]
