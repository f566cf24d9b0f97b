"""What the order console reads, on its own connection."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from orderkit.store.database import Connection
from orderkit.store.queries import queries


async def recent_order_ids(connection: Connection, most: int) -> list[str]:
    """The newest orders, newest first."""
    return [row["id"] async for row in queries.console_recent(connection, most=most)]


async def read_orders(
    connection: Connection, event_ids: Sequence[int], order_ids: Sequence[str]
) -> list[asyncpg.Record]:
    """Rows of the query console_orders: some events and every event of some orders, with the orders as they stand."""
    found = queries.console_orders(connection, event_ids=list(event_ids), order_ids=list(order_ids))
    return [row async for row in found]


async def count_others(connection: Connection, known: Sequence[str]) -> int:
    """How many other orders there are."""
    return int(await queries.console_others(connection, known=list(known)))


async def check_alive(connection: Connection) -> None:
    """Fails if the connection is dead."""
    await queries.check_schema(connection)
