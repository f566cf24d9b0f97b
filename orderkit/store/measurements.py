"""Reads the results of orders that ran for a measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from orderkit.core.orders import OrderState
from orderkit.store.database import Pool
from orderkit.store.queries import queries


@dataclass(frozen=True)
class OrderEnd:
    """Where an order stands; `seconds` from its start to its end, and when that was: None while it is open."""

    order_id: str
    state: OrderState
    seconds: float | None
    closed_at: datetime | None


@dataclass(frozen=True)
class Gap:
    """From the start of attempts to the start of what followed, on average: a row of the query attempt_gaps."""

    step: str
    outcome: str
    nth: int  # which attempt of its activity
    attempts: int
    seconds: float


async def order_ends(pool: Pool, order_ids: Sequence[str]) -> list[OrderEnd]:
    """State and duration of these orders; orders without a row are left out."""
    rows = queries.orders_named(pool, order_ids=list(order_ids))
    return [OrderEnd(row["id"], OrderState(row["state"]), row["seconds"], row["closed_at"]) async for row in rows]


async def attempt_gaps(pool: Pool, order_ids: Sequence[str]) -> list[Gap]:
    """The time between attempts of these orders and the next one."""
    return [Gap(**row) async for row in queries.attempt_gaps(pool, order_ids=list(order_ids))]


async def attempts_made(pool: Pool, order_ids: Sequence[str]) -> tuple[int, int]:
    """How many attempts the orders named took, and how many of them were retries."""
    row = await queries.attempts_made(pool, order_ids=list(order_ids))
    return row["attempts"], row["retries"]
