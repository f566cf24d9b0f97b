"""The numbers for metrics: how orders ended, and how long they took."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orderkit.core.orders import ENDS
from orderkit.store.database import Pool
from orderkit.store.queries import queries


@dataclass(frozen=True)
class Durations:
    """Ended orders by duration: one count for each bucket, and a last one for longer durations."""

    counts: Sequence[int]
    seconds: float


@dataclass(frozen=True)
class OrderTotals:
    """Over all orders in the database."""

    open: Mapping[str, int]  # by state
    ended: Mapping[str, Durations]  # by outcome
    late: int  # decided after their deadline, or still undecided after it
    overdue: int  # of these, the undecided ones
    refunds: int
    refunded: float


async def order_totals(pool: Pool, bounds: Sequence[float]) -> OrderTotals:
    """Count them all, in one pass over the table; `bounds` are upper limits in seconds, ascending."""
    rows = [row async for row in queries.order_totals(pool, bounds=list(bounds))]
    ends = {str(state) for state in ENDS}
    open_orders: Counter[str] = Counter()
    counts: dict[str, list[int]] = {state: [0] * (len(bounds) + 1) for state in sorted(ends)}
    seconds: dict[str, float] = defaultdict(float)
    for row in rows[:-1]:
        if row["state"] in ends:
            counts[row["state"]][row["bucket"]] += row["number"]
            seconds[row["state"]] += row["total"]
        else:
            open_orders[row["state"]] += row["number"]
    return OrderTotals(
        open=open_orders,
        ended={state: Durations(counts[state], seconds[state]) for state in counts},
        late=sum(row["late"] for row in rows),
        overdue=sum(row["overdue"] for row in rows),
        refunds=rows[-1]["number"],
        refunded=rows[-1]["total"],
    )
