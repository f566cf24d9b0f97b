"""What `lab.orders` reads: full frames for charts, short ones for people and for nbval."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from orderkit.client import OrderkitClient
from orderkit.contract import History
from orderkit.core.orders import OrderId
from orderkit.errors import DependencyUnavailable
from orderkit.lab.display import Order

if TYPE_CHECKING:
    import pandas as pd

    from orderkit.store.database import Pool
    from orderkit.store.events import Reader

T = TypeVar("T")
_PATIENCE_SECONDS = 10.0  # PostgreSQL was killed, and is on its way back
_RETRY_SECONDS = 0.1
_BUCKET_SECONDS = 10.0  # of failures over time

_SHORT_ATTEMPTS = ["step", "attempt", "outcome", "error"]
_SHORT_EVENTS = ["type", "step", "attempt", "outcome"]
_SHORT_TIMELINE = ["kind", "name", "attempt", "outcome", "detail"]
_SHORT_LEDGER = ["who", "kind", "amount"]
_SHORT_HISTORY = ["workflow", "type", "name"]
# Where an event of Temporal's history says what it is about.
_NAMES = ("activity_type", "signal_name", "update_name", "workflow_type", "timer_id")


class Tables:
    """Reads an order's rows; survives a PostgreSQL that restarts."""

    def __init__(self, api: OrderkitClient, pool: Callable[[], Awaitable[Pool]]) -> None:
        self._api = api
        self._pool = pool

    async def read(self, query: Callable[[Reader], Awaitable[T]]) -> T:
        """Run a query, again while PostgreSQL is away, for at most 10 s; raises DependencyUnavailable."""
        from orderkit.store.events import Reader

        return await self._patiently(lambda pool: query(Reader(pool)))

    async def _patiently(self, query: Callable[[Pool], Awaitable[T]]) -> T:
        loop = asyncio.get_running_loop()
        until = loop.time() + _PATIENCE_SECONDS
        while True:
            try:
                return await query(await self._pool())
            except _away() as error:
                if loop.time() > until:
                    why = f"PostgreSQL does not answer ({type(error).__name__}); look: await lab.doctor()"
                    raise DependencyUnavailable("postgresql", why) from error
                await asyncio.sleep(_RETRY_SECONDS)

    async def attempts(self, orders: Sequence[Order], full: bool) -> pd.DataFrame:
        """Of one order or several."""
        from orderkit.analysis import frames

        frame = await self.read(lambda reader: frames.read_attempts(reader, [order.id for order in orders]))
        return frame if full else _short(frame, orders, _SHORT_ATTEMPTS)

    async def events(self, order: Order, full: bool) -> pd.DataFrame:
        """Of one order."""
        from orderkit.analysis import frames

        frame = await self.read(lambda reader: frames.read_events(reader, order.id))
        return frame if full else _short(frame, [order], _SHORT_EVENTS)

    async def timeline(self, order: Order, full: bool) -> pd.DataFrame:
        """Of one order."""
        from orderkit.analysis import frames

        frame = await self.read(lambda reader: frames.read_timeline(reader, order.id))
        return frame if full else _short(frame, [order], _SHORT_TIMELINE)

    async def ledger(self, orders: Sequence[Order], full: bool) -> pd.DataFrame:
        """Of one order or several."""
        from orderkit.analysis import frames

        frame = await self.read(lambda reader: frames.read_ledger(reader, [order.id for order in orders]))
        if full:
            return frame
        # A package moves no money, and neither does a void.
        amounts = frame["amount"].map(lambda amount: f"{amount:.2f}" if amount == amount and amount else "")
        return _short(frame.assign(amount=amounts), orders, _SHORT_LEDGER)

    async def failures(self, order_ids: Sequence[OrderId] | None, full: bool) -> pd.DataFrame:
        """Of some orders, or of all of the last hour."""
        from orderkit.analysis import operations
        from orderkit.lab.frame import Table
        from orderkit.store.failures import failures

        since = datetime.now(UTC) - timedelta(hours=1) if order_ids is None else datetime.fromtimestamp(0, UTC)
        rows = await self._patiently(lambda pool: failures(pool, since, _BUCKET_SECONDS, order_ids))
        frame = operations.failures_frame(rows)
        return frame if full else Table(operations.by_step_and_kind(frame))

    async def history(self, order: Order, full: bool) -> pd.DataFrame:
        """OrderWorkflow's, then that of each ShippingWorkflow."""
        from orderkit.analysis.frames import Frame

        histories = [await self._api.history(order.id)]
        runs = sum(event.type == "CHILD_WORKFLOW_EXECUTION_STARTED" for event in histories[0].events)
        histories += [await self._api.history(order.id, run) for run in range(1, runs + 1)]
        rows = [row for history in histories for row in history_rows(history)]
        frame: pd.DataFrame = Frame(rows).astype({"attempt": "Int64"})
        if full:
            return frame
        bookkeeping = frame["type"].str.startswith(("WORKFLOW_TASK_", "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES"))
        frame = frame[~bookkeeping].reset_index(drop=True)
        return _short(frame, [order], _SHORT_HISTORY)


def _away() -> tuple[type[Exception], ...]:
    from orderkit.store.database import AWAY

    return (*AWAY, DependencyUnavailable)


def history_rows(history: History) -> list[dict[str, Any]]:
    """Columns: workflow, run_id, id, ts, type, name, attempt."""
    rows: list[dict[str, Any]] = []
    names: dict[object, object] = {}  # of what was scheduled or initiated, by its event
    for event in history.events:
        about = event.attributes
        key = about.get("scheduled_event_id") or about.get("initiated_event_id")
        name = next((about[each] for each in _NAMES if each in about), names.get(key, ""))
        names[event.id] = name
        rows.append(
            {
                "workflow": history.workflow_id,
                "run_id": history.run_id,
                "id": event.id,
                "ts": event.ts,
                "type": event.type,
                "name": name,
                "attempt": about.get("attempt"),
            }
        )
    return rows


def _short(frame: pd.DataFrame, orders: Sequence[Order], columns: list[str]) -> pd.DataFrame:
    """Only what is the same in every run, with the orders' names; the order itself only where there are several."""
    from orderkit.lab.frame import Table

    short = frame[["order_id", *columns]] if len(orders) > 1 else frame[columns]
    short = short.rename(columns={"order_id": "order"})
    renamed = {order.id: order.name for order in orders if order.id != order.name}
    for column in short.columns:
        if renamed and short[column].dtype.kind in "OUT":
            short = short.assign(**{column: short[column].map(lambda cell: _rename(cell, renamed))})
    return Table(short)


def _rename(cell: object, names: dict[Any, str]) -> object:
    if isinstance(cell, str):
        for order_id, name in names.items():
            cell = cell.replace(order_id, name)
    return cell
