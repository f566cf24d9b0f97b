"""Attempts are recorded together: one statement for those that come at the same time, and each has its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest
from support.shop import until

from orderkit.core.calls import Attempt
from orderkit.core.events import AttemptOutcome
from orderkit.core.faults import FaultPlan
from orderkit.core.orders import OrderId
from orderkit.core.ports import AttemptRecord
from orderkit.core.steps import Step
from orderkit.stack.stack import Stack
from orderkit.store.batches import Batches
from orderkit.store.database import Pool
from orderkit.store.events import PostgresAttemptLog, Reader
from orderkit.store.notifications import Notification, listening


def record(order_id: OrderId, number: int = 1) -> AttemptRecord:
    return AttemptRecord(Attempt(order_id, Step.CHARGE, number, FaultPlan()), number, "w", "wf", f"run-{order_id}", "1")


async def test_what_comes_while_one_is_written_joins_the_next() -> None:
    written: list[list[int]] = []
    go_on = asyncio.Event()

    async def write(rows: Sequence[int]) -> list[int]:
        written.append(list(rows))
        await go_on.wait()
        return [10 * row for row in rows]

    batches: Batches[int, int] = Batches(write)
    first = asyncio.create_task(batches.add(1))
    await until(lambda: _true(bool(written)), "the first goes out alone, at once")
    rest = [asyncio.create_task(batches.add(row)) for row in (2, 3, 4)]
    await asyncio.sleep(0)
    go_on.set()
    assert await asyncio.gather(first, *rest) == [10, 20, 30, 40]
    assert written == [[1], [2, 3, 4]]


async def test_a_bad_row_fails_alone_and_an_away_server_fails_all() -> None:
    tried: list[list[int]] = []

    async def write(rows: Sequence[int]) -> list[int]:
        tried.append(list(rows))
        if 13 in rows:
            raise asyncpg.DataError("bad row")
        if 99 in rows:
            raise asyncpg.ConnectionDoesNotExistError("away")
        return list(rows)

    batches: Batches[int, int] = Batches(write)

    async def together(*rows: int) -> list[Any]:
        return await asyncio.gather(*(batches.add(row) for row in rows), return_exceptions=True)

    one, bad, two = await together(1, 13, 2)
    assert (one, two) == (1, 2)
    assert isinstance(bad, asyncpg.DataError)
    tried.clear()
    assert all(isinstance(each, asyncpg.ConnectionDoesNotExistError) for each in await together(1, 99, 2))
    assert tried == [[1, 99, 2]]  # nothing was tried again: the attempts are
    assert await together(5) == [5]


async def test_one_that_gives_up_waiting_harms_no_other() -> None:
    async def write(rows: Sequence[int]) -> list[int]:
        await asyncio.sleep(0.01)
        return list(rows)

    batches: Batches[int, int] = Batches(write)
    given_up, kept = (asyncio.create_task(batches.add(row)) for row in (1, 2))
    await asyncio.sleep(0)
    given_up.cancel()
    assert await kept == 2
    with pytest.raises(asyncio.CancelledError):
        await given_up


async def test_attempts_of_many_orders_at_once_are_all_on_record(pool: Pool, order_id: OrderId) -> None:
    log, reader = PostgresAttemptLog(pool), Reader(pool)
    orders = [OrderId(f"{order_id}-{number}") for number in range(250)]

    async def attempt(each: OrderId) -> None:
        assert await log.started(record(each), "ok", 3.0) == 1
        await log.ended(record(each), AttemptOutcome.COMPLETED, "")

    await asyncio.gather(*map(attempt, orders))
    for each in (orders[0], orders[-1]):
        assert [row["outcome"] for row in await reader.attempts(each)] == ["completed"]
    found = await pool.fetchval("SELECT count(*) FROM trellis_events WHERE starts_with(order_id, $1)", f"{order_id}-")
    assert found == 500


async def test_two_of_one_number_at_once_get_two_numbers(pool: Pool, order_id: OrderId) -> None:
    log = PostgresAttemptLog(pool)
    held = asyncio.create_task(log.started(record(OrderId(f"{order_id}-other")), "ok", 3.0))
    await asyncio.sleep(0)  # so that the two wait for it, and go out in one statement
    numbers = await asyncio.gather(*(log.started(record(order_id), "ok", 3.0) for _ in range(2)))
    assert sorted(numbers) == [1, 2]
    await held


async def test_an_error_that_the_database_cannot_hold_fails_its_own_attempt_only(pool: Pool, order_id: OrderId) -> None:
    log = PostgresAttemptLog(pool)
    others = [OrderId(f"{order_id}-{number}") for number in range(3)]
    answers = await asyncio.gather(
        log.ended(record(order_id), AttemptOutcome.FAILED, "zero byte \x00"),
        *(log.ended(record(each), AttemptOutcome.COMPLETED, "") for each in others),
        return_exceptions=True,
    )
    assert isinstance(answers[0], Exception)
    assert answers[1:] == [None] * 3


async def test_each_event_of_a_statement_is_told(servers: Stack, pool: Pool, order_id: OrderId) -> None:
    heard: list[Notification] = []
    orders = [OrderId(f"{order_id}-{number}") for number in range(90)]  # three notifications
    async with listening(servers.database_url, heard.append, lambda: None):
        await pool.execute(
            "INSERT INTO trellis_events (order_id, type) SELECT unnest($1::text[]), 'order_validated'", orders
        )

        async def all_heard() -> bool:
            return {each.order_id for each in heard if each.order_id.startswith(order_id)} == set(orders)

        await until(all_heard, "the listener hears of every event")
    told = [each.event_id for each in heard if each.order_id.startswith(order_id)]
    assert told == sorted(set(told))


async def _true(value: bool) -> bool:
    return value
