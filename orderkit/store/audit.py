"""What the auditor reads: one row an order, with its events and the outside world's ledgers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from orderkit.store.database import Pool
from orderkit.store.queries import queries


async def audited_workflows(
    pool: Pool, order_ids: Sequence[str] | None = None, since: datetime | None = None
) -> list[asyncpg.Record]:
    """Rows of the query audit_workflows: of the orders named, or of all, in the order they were created."""
    rows = queries.audit_workflows(pool, order_ids=None if order_ids is None else list(order_ids), since=since)
    return [row async for row in rows]


async def audit_rows(pool: Pool, order_ids: Sequence[str]) -> list[asyncpg.Record]:
    """Rows of the query audit_orders, of the orders named."""
    return [row async for row in queries.audit_orders(pool, order_ids=list(order_ids))]


async def ledger_without_order(pool: Pool, since: datetime | None = None) -> list[tuple[str, str]]:
    """Money or packages in the outside world that belong to no order of ours: the order's id, and what it is."""
    return [(row["order_id"], row["what"]) async for row in queries.ledger_without_order(pool, since=since)]
