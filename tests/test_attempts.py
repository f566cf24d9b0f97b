"""What the view trellis_attempts infers from the starts and ends that attempts leave."""

from __future__ import annotations

from dataclasses import replace

from harness import Shop

from orderkit.core.calls import Attempt
from orderkit.core.faults import FaultPlan
from orderkit.core.orders import OrderId
from orderkit.core.ports import AttemptOutcome, AttemptRecord
from orderkit.core.steps import Step
from orderkit.store.events import PostgresAttemptLog


def record(order_id: OrderId, number: int) -> AttemptRecord:
    attempt = Attempt(order_id, Step.CHARGE, number, FaultPlan())
    return AttemptRecord(attempt, number, "worker", f"order-{order_id}", f"run-{order_id}", "1")


async def test_an_attempt_is_lost_when_another_follows_and_temporal_did_not_hear_of_its_end(
    shop: Shop, order_id: OrderId
) -> None:
    log = PostgresAttemptLog(shop.pool)
    died, unheard, last = (record(order_id, number) for number in (1, 2, 3))
    await log.started(died, "crash")
    assert [outcome for _, _, outcome in await shop.attempts(order_id)] == ["running"]
    await log.started(unheard, "ok")
    await log.ended(unheard, AttemptOutcome.COMPLETED, "")
    assert [outcome for _, _, outcome in await shop.attempts(order_id)] == ["lost", "completed"]
    await log.started(last, "ok")
    await log.ended(last, AttemptOutcome.COMPLETED, "")
    assert [outcome for _, _, outcome in await shop.attempts(order_id)] == ["lost", "lost", "completed"]


async def test_without_an_end_in_an_ended_order_an_attempt_is_lost_but_for_the_step_that_ended_it(
    shop: Shop, order_id: OrderId
) -> None:
    await shop.end(await shop.start(order_id))
    steps = [Step.CHARGE, Step.SHIP]
    ends = "DELETE FROM trellis_events WHERE order_id = $1 AND step = ANY($2) AND type = 'step_ended'"
    await shop.pool.execute(ends, order_id, steps)
    outcomes = {step: outcome for step, _, outcome in await shop.attempts(order_id)}
    assert (outcomes["charge"], outcomes["prepare"], outcomes["ship"]) == ("lost", "completed", "running")


async def test_a_repeated_note_adds_nothing(shop: Shop, order_id: OrderId) -> None:
    log = PostgresAttemptLog(shop.pool)
    once = record(order_id, 1)
    for each in (once, replace(once, worker="another")):
        await log.started(each, "ok")
        await log.ended(each, AttemptOutcome.FAILED, "InjectedError: no")
    assert await shop.attempts(order_id) == [("charge", 1, "failed")]
    assert len(await shop.reader.events(order_id)) == 2
