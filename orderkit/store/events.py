"""The events table: attempts are written here, and everything is read from here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from orderkit.core.events import AttemptOutcome, EventType
from orderkit.core.orders import OrderId
from orderkit.core.ports import AttemptRecord
from orderkit.store.batches import Batches
from orderkit.store.database import Pool
from orderkit.store.queries import queries


class PostgresAttemptLog:
    """The AttemptLog port on `trellis_events`. What many attempts note at the same time goes out in one statement."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._notes = Batches(self._write)

    async def started(self, record: AttemptRecord, fault: str, limit_seconds: float | None) -> int:
        """Note the start, with the fault that the plan holds for it and its time limit; returns its number.

        It is the record's own, unless a person reset the activity: then Temporal starts at 1 again, and we count on.
        """
        note = _Note(record, EventType.STEP_STARTED, fault=fault, limit_seconds=limit_seconds)
        if await self._notes.add(note):
            return record.attempt.number
        return int(await queries.attempt_started_again(self._pool, **note.columns()))

    async def ended(self, record: AttemptRecord, outcome: AttemptOutcome, error: str) -> None:
        """Note the end; repeated notes add nothing."""
        await self._notes.add(_Note(record, EventType.STEP_ENDED, outcome=outcome, error=error[:1000]))

    async def _write(self, notes: Sequence[_Note]) -> list[bool]:
        """Whether each is new."""
        columns = [note.columns() for note in notes]
        together = {f"{name}_list": [each[name] for each in columns] for name in columns[0]}
        new = {tuple(row) async for row in queries.note_attempts(self._pool, **together)}
        first = {note.key: note for note in reversed(notes)}  # of two equal notes in one batch, only the first is new
        return [note.key in new and note is first[note.key] for note in notes]


@dataclass(frozen=True)
class _Note:
    record: AttemptRecord
    type: EventType
    outcome: AttemptOutcome | None = None
    error: str | None = None
    fault: str | None = None
    limit_seconds: float | None = None

    @property
    def key(self) -> tuple[str, str, int, str]:
        """As note_attempts returns it."""
        return self.record.run_id, self.record.activity_id, self.record.attempt.number, self.type

    def columns(self) -> dict[str, str | int | float | None]:
        record = self.record
        return {
            "order_id": record.attempt.order_id,
            "type": self.type,
            "step": record.attempt.step,
            "attempt": record.attempt.number,
            "outcome": self.outcome,
            "error": self.error,
            "worker": record.worker,
            "workflow_id": record.workflow_id,
            "run_id": record.run_id,
            "activity_id": record.activity_id,
            "fault": self.fault,
            "limit_seconds": self.limit_seconds,
        }


@dataclass(frozen=True)
class OrderFilter:
    """Which orders to list; None means any. `before` is (created_at, id) of the last row of the page before."""

    state: str | None = None
    prefix: str | None = None
    before: tuple[datetime, str] | None = None
    most: int = 50


class Reader:
    """Everything that is read: rows as the views and tables of `sql/migrations` give them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def order(self, order_id: OrderId) -> asyncpg.Record | None:
        """A row of trellis_orders, or None."""
        row: asyncpg.Record | None = await queries.order_row(self._pool, order_id=order_id)
        return row

    async def orders(self, wanted: OrderFilter) -> list[asyncpg.Record]:
        """Orders, newest first."""
        created_at, last_id = wanted.before or (None, None)
        rows = queries.list_orders(
            self._pool,
            state=wanted.state,
            prefix=wanted.prefix,
            before_created_at=created_at,
            before_id=last_id,
            most=wanted.most,
        )
        return [row async for row in rows]

    async def count(self, wanted: OrderFilter) -> int:
        """How many orders there are of this state and prefix, on all pages."""
        return int(await queries.count_orders(self._pool, state=wanted.state, prefix=wanted.prefix))

    async def events(self, order_id: OrderId, after_id: int = 0, most: int = 1000) -> list[asyncpg.Record]:
        """An order's events after one of them, oldest first."""
        return [row async for row in queries.order_events(self._pool, order_id=order_id, after_id=after_id, most=most)]

    async def attempts(self, order_id: OrderId) -> list[asyncpg.Record]:
        """Rows of trellis_attempts, in the order they started."""
        return [row async for row in queries.order_attempts(self._pool, order_id=order_id)]

    async def attempts_of(self, order_ids: Sequence[OrderId]) -> list[asyncpg.Record]:
        """Rows of trellis_attempts of many orders, order by order as they are named."""
        return [row async for row in queries.attempts_of_orders(self._pool, order_ids=list(order_ids))]

    async def timeline(self, order_id: OrderId) -> list[asyncpg.Record]:
        """Rows of trellis_timeline, in the order they started."""
        return [row async for row in queries.order_timeline(self._pool, order_id=order_id)]

    async def summary(self, order_id: OrderId) -> asyncpg.Record | None:
        """A row of trellis_order_summary, or None."""
        row: asyncpg.Record | None = await queries.order_summary(self._pool, order_id=order_id)
        return row

    async def summaries_of(self, order_ids: Sequence[OrderId]) -> list[asyncpg.Record]:
        """Rows of trellis_order_summary as the orders are named; an unknown order has none."""
        return [row async for row in queries.summaries_of_orders(self._pool, order_ids=list(order_ids))]

    async def ledger_of(self, order_ids: Sequence[OrderId]) -> list[asyncpg.Record]:
        """What the payment provider and the carrier know of many orders, order by order as they are named."""
        return [row async for row in queries.ledger_of_orders(self._pool, order_ids=list(order_ids))]

    async def ledger(self, order_id: OrderId) -> Sequence[asyncpg.Record]:
        """What the payment provider and the carrier know of an order."""
        return [row async for row in queries.order_ledger(self._pool, order_id=order_id)]
