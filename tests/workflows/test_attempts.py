"""Attempts end on time, and what the view trellis_attempts infers from the starts and ends that they leave."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from support.shop import ROOMY, Shop, until

from orderkit.core.calls import Attempt
from orderkit.core.events import AttemptOutcome
from orderkit.core.faults import FaultPlan
from orderkit.core.orders import OrderId
from orderkit.core.ports import AttemptRecord
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
    await log.started(died, "crash", 3.0)
    assert [outcome for _, _, outcome in await shop.attempts(order_id)] == ["running"]
    await log.started(unheard, "ok", 3.0)
    await log.ended(unheard, AttemptOutcome.COMPLETED, "")
    assert [outcome for _, _, outcome in await shop.attempts(order_id)] == ["lost", "completed"]
    await log.started(last, "ok", 3.0)
    await log.ended(last, AttemptOutcome.COMPLETED, "")
    assert [outcome for _, _, outcome in await shop.attempts(order_id)] == ["lost", "lost", "completed"]


async def test_without_an_end_an_attempt_of_an_ended_order_runs_until_its_limit_is_over(
    shop: Shop, order_id: OrderId
) -> None:
    await shop.end(await shop.start(order_id))
    ends = "DELETE FROM trellis_events WHERE order_id = $1 AND step = 'charge' AND type = 'step_ended'"
    await shop.pool.execute(ends, order_id)
    limit = """UPDATE trellis_events SET payload_json = payload_json || jsonb_build_object('limit_seconds', $2::float8)
    WHERE order_id = $1 AND step = 'charge'"""

    async def outcome() -> str:
        return {step: outcome for step, _, outcome in await shop.attempts(order_id)}["charge"]

    await shop.pool.execute(limit, order_id, 3600.0)
    assert await outcome() == "running"
    await shop.pool.execute(limit, order_id, 0.0)

    async def lost() -> bool:
        return await outcome() == "lost"

    await until(lost, "its worker would have ended it by now")


async def charge_attempts(shop: Shop, order_id: OrderId, *faults: str) -> list[dict[str, Any]]:
    """Of an order that ships although its charge meets these faults; all ended. An attempt's limit is a second."""
    found: list[dict[str, Any]] = []

    async def ended() -> bool:
        nonlocal found
        found = [dict(row) for row in await shop.reader.attempts(order_id) if row["step"] == "charge"]
        return all(row["ended_at"] for row in found)

    plan = FaultPlan(script={Step.CHARGE: list(faults)})
    assert await shop.end(await shop.start(order_id, policy=ROOMY, faults=plan)) == "shipped"
    await until(ended, "each attempt notes its end")
    return found


async def test_a_hang_is_ended_just_after_the_server_gave_it_up(shop: Shop, order_id: OrderId) -> None:
    hung, done = await charge_attempts(shop, order_id, "hang", "ok")
    assert (hung["outcome"], hung["error"]) == ("timed_out", "no answer within 1 s")
    assert 1 <= hung["duration_seconds"] < 2
    assert done["outcome"] == "completed"


async def test_an_answer_after_the_limit_is_no_success(
    shop: Shop, order_id: OrderId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "orderkit.worker.attempts.GRACE", timedelta(seconds=3)
    )  # so that it is late however busy we are
    late, done = await charge_attempts(shop, order_id, "slow(1500)", "ok")
    assert (late["outcome"], late["error"]) == ("timed_out", "no answer within 1 s; it was done just after")
    assert done["outcome"] == "completed"
    assert [row["kind"] for row in await shop.reader.ledger(order_id)] == ["charge", "dispatch"]


async def test_a_repeated_note_adds_nothing(shop: Shop, order_id: OrderId) -> None:
    log = PostgresAttemptLog(shop.pool)
    once = record(order_id, 1)
    assert await log.started(once, "ok", 3.0) == 1
    for each in (once, replace(once, worker="another")):
        await log.ended(each, AttemptOutcome.FAILED, "InjectedError: no")
    assert await shop.attempts(order_id) == [("charge", 1, "failed")]
    assert len(await shop.reader.events(order_id)) == 2


async def test_an_attempt_that_begins_a_second_time_gets_the_next_number(shop: Shop, order_id: OrderId) -> None:
    log = PostgresAttemptLog(shop.pool)
    for number in (1, 2, 3):
        assert await log.started(record(order_id, 1), "ok", 3.0) == number
    assert [attempt for _, attempt, _ in await shop.attempts(order_id)] == [1, 2, 3]
