"""What the REST API reads beside `events.Reader`; the queries are in `sql/queries/api.sql`."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import asyncpg

from orderkit.core.events import EventType
from orderkit.core.orders import ENDS, OrderId, OrderState
from orderkit.store.database import Pool
from orderkit.store.queries import queries


@dataclass(frozen=True)
class OrderIdentity:
    """Whether an order is the same as another request's, and whether it has ended."""

    state: OrderState
    request_digest: str

    @property
    def closed(self) -> bool:
        """Whether the order has its final state."""
        return self.state in ENDS


@dataclass(frozen=True)
class FailingNote:
    """An order's workflow whose task fails, and the error; `event_id` is the failure's id in its history."""

    order_id: OrderId
    workflow_id: str
    run_id: str
    event_id: int
    error: str
    where: str


async def failing_orders(pool: Pool) -> list[FailingNote]:
    """Open orders whose newest note says that their workflow fails."""
    rows = queries.failing_orders(pool)
    return [FailingNote(row["order_id"], **row["payload_json"]) async for row in rows]


async def note_failing(pool: Pool, event: EventType, note: FailingNote) -> None:
    """Note that a workflow fails, or goes on again; once for each failure in its history."""
    payload = asdict(note)
    del payload["order_id"]
    await queries.note_about_workflow(
        pool,
        order_id=note.order_id,
        event=event,
        payload=payload,
        run_id=note.run_id,
        note_id=f"task-{note.event_id}",
    )


async def order_status(pool: Pool, order_id: OrderId) -> asyncpg.Record | None:
    """Everything about an order's state in one row of one read, or None."""
    row: asyncpg.Record | None = await queries.order_status(pool, order_id=order_id)
    return row


async def order_identity(pool: Pool, order_id: OrderId) -> OrderIdentity | None:
    """The order's state and the digest of the request that started it, or None."""
    row = await queries.order_identity(pool, order_id=order_id)
    return OrderIdentity(OrderState(row["state"]), row["request_digest"]) if row else None


async def check_schema(pool: Pool) -> None:
    """Read nothing from the newest tables: fails where PostgreSQL is away or not migrated."""
    await queries.check_schema(pool)
