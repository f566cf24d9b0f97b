"""What the REST API reads beside `events.Reader`; the queries are in `sql/queries/api.sql`."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

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
