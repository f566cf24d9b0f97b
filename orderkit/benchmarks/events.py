"""How soon a big events table answers what people ask: `orderkit bench events`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from orderkit.analysis.charts_orders import time_to_outcome
from orderkit.analysis.frames import read_summaries
from orderkit.core.orders import OrderId
from orderkit.store.audit import audit_rows, audited_workflows, ledger_without_order
from orderkit.store.console import count_others, read_orders, recent_order_ids
from orderkit.store.database import Connection, Pool
from orderkit.store.events import OrderFilter, Reader
from orderkit.store.made import EVENTS_OF_AN_ORDER, bytes_of_events, count_events, make_shipped_orders
from orderkit.store.status import order_status
from orderkit.store.totals import order_totals

_BOUNDS = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0)
Read = Callable[[int], Awaitable[object]]


@dataclass(frozen=True)
class ReadTime:
    """One question at one size of the table; milliseconds. The first answer counts, too."""

    events: int
    read: str
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True)
class EventGrowth:
    """How long queries take as the table grows, and what the growth itself costs."""

    reads: list[ReadTime]
    seconds_a_million: float  # to make events
    bytes_an_event: float  # on the disk, with the indexes


async def measure(
    pool: Pool, console: Connection, events: int, repeats: int = 20, tell: Callable[[str], None] = lambda _: None
) -> EventGrowth:
    """Fill a database of its own with up to so many events, ten times more at each stage, and ask at each stage.

    `console` is a connection to the same database, as the console has one.
    """
    reads: list[ReadTime] = []
    orders, spent = 0, 0.0
    size = 1_000
    while size <= events:
        wanted = max(size // EVENTS_OF_AN_ORDER, 1)
        tell(f"making {size:,} events")
        began = time.perf_counter()
        await make_shipped_orders(pool, orders + 1, wanted)
        spent += time.perf_counter() - began
        orders = wanted
        counted = await count_events(pool)
        for name, read in _questions(pool, console, orders).items():
            tell(f"{counted:,} events: {name}")
            times = sorted([await _timed(read(number)) for number in range(repeats)])
            reads.append(ReadTime(counted, name, times[repeats // 2], times[int(0.95 * (repeats - 1))]))
        size *= 10
    counted = await count_events(pool)
    return EventGrowth(reads, spent * 1_000_000 / counted, await bytes_of_events(pool) / counted)


def _questions(pool: Pool, connection: Connection, orders: int) -> dict[str, Read]:
    """Each reads another order each time."""
    reader = Reader(pool)

    def some(number: int) -> OrderId:
        return OrderId(f"made-{1 + (number * 7919) % orders}")

    async def console(_: int) -> None:
        recent = await recent_order_ids(connection, 60)
        await count_others(connection, recent)
        for first in range(0, len(recent), 10):
            await read_orders(connection, [], recent[first : first + 10])

    async def charts(number: int) -> None:
        begin = max(1, (number * 7919) % orders - 1_000)
        found = [OrderId(f"made-{each}") for each in range(begin, min(begin + 999, orders) + 1)]
        time_to_outcome(await read_summaries(reader, found))._repr_png_()

    async def audit(_: int) -> None:
        since = datetime.now(UTC) - timedelta(minutes=1)
        found = await audited_workflows(pool, None, since)
        for first in range(0, len(found), 64):
            await audit_rows(pool, [row["id"] for row in found[first : first + 64]])
        await ledger_without_order(pool, since)

    return {
        "list, first page": lambda _: reader.orders(OrderFilter(most=50)),
        "list, by state": lambda _: reader.orders(OrderFilter(state="failed", most=50)),
        "list, by prefix": lambda number: reader.orders(OrderFilter(prefix=some(number), most=50)),
        "count": lambda _: reader.count(OrderFilter()),
        "status": lambda number: order_status(pool, some(number)),
        "timeline": lambda number: reader.timeline(some(number)),
        "events": lambda number: reader.events(some(number)),
        "console, 60 orders": console,
        "chart of 1,000 orders": charts,
        "audit --since 1m, tables": audit,
        "metrics": lambda _: order_totals(pool, _BOUNDS),
    }


async def _timed(work: Awaitable[object]) -> float:
    began = time.perf_counter()
    await work
    return (time.perf_counter() - began) * 1000
