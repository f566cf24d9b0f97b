"""What the stage reads."""

from __future__ import annotations

from typing import Any

from orderkit.store.database import Pool
from orderkit.store.queries import queries


async def read_stage(pool: Pool, most: int) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Rows of the newest orders, oldest first, and the balance of all of them."""
    orders = [dict(row) async for row in queries.stage_orders(pool, most=most)]
    return orders, dict(await queries.stage_balance(pool))
