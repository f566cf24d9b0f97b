"""Made-up rows and switches for benchmarks, each in a database of its own."""

from __future__ import annotations

from orderkit.store.database import Pool
from orderkit.store.queries import queries

EVENTS_OF_AN_ORDER = 18
_ORDERS_AT_ONCE = 5_000


async def make_shipped_orders(pool: Pool, first: int, last: int) -> None:
    """Rows of shipped orders `made-{first}` to `made-{last}` with their events; listeners hear nothing of them.

    Each order is a second younger than the one before; the last one is from now.
    """
    await queries.notifications_off(pool)
    try:
        for begin in range(first, last + 1, _ORDERS_AT_ONCE):
            end = min(begin + _ORDERS_AT_ONCE - 1, last)
            async with pool.acquire(timeout=60) as connection:
                await connection.execute("SET statement_timeout = 0")
                await queries.make_orders(connection, first=begin, last=end)
                await queries.make_events(connection, first=begin, last=end)
    finally:
        await queries.notifications_on(pool)
    await queries.analyze_orders(pool)


async def tell_of_events(pool: Pool, told: bool) -> None:
    """Switch the notification of new events."""
    await (queries.notifications_on if told else queries.notifications_off)(pool)


async def count_events(pool: Pool) -> int:
    """How many events there are."""
    return int(await queries.count_events(pool))


async def bytes_of_events(pool: Pool) -> int:
    """The bytes that events and their indexes take on the disk."""
    return int(await queries.size_of_events(pool))
