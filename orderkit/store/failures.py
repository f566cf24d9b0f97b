"""Error tracking: the attempts that did not complete, counted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from orderkit.store.database import Pool
from orderkit.store.queries import queries
from orderkit.store.rows import Row


async def failures(
    pool: Pool, since: datetime, bucket_seconds: float, order_ids: Sequence[str] | None = None
) -> Sequence[Row]:
    """By time (`ts`, the start of a bucket), step, outcome and kind; of these orders, or of all."""
    wanted = list(order_ids) if order_ids is not None else None
    rows = queries.failures(pool, since=since, bucket_seconds=bucket_seconds, order_ids=wanted)
    return [row async for row in rows]
