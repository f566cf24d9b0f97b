"""Push from PostgreSQL: one connection listens, reads what changed, and hands it on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from orderkit.console.state import AttemptsRead, Change, ConsoleAttempt, EventRow, OrderRow
from orderkit.errors import DependencyUnavailable
from orderkit.store.console import check_alive, count_others, read_orders, recent_order_ids
from orderkit.store.database import AWAY, Connection
from orderkit.store.notifications import Notification, listening
from orderkit.store.rows import Row, to_address

logger = logging.getLogger(__name__)

_AWAY: tuple[type[Exception], ...] = (*AWAY, DependencyUnavailable)
# After a read, news gather this long: a burst is one read, and the kernel has time for others.
_GATHER_SECONDS = 0.02
_AGAIN_SECONDS = 0.3
# A server that was paused, or a cable that was cut, closes no connection: ask now and then.
_QUIET_SECONDS, _ANSWER_SECONDS = 5.0, 5.0
_RECENT_ORDERS = 60
_WHOLE_AT_ONCE = 10


class Feed:
    """`changed` gets every change; `told` gets None while news is pushed, else what is wrong.

    Both are called on the event loop that `run` runs on. After a break, everything that may have changed is read again;
    what was known already adds nothing, since events are told apart by their id.
    """

    def __init__(
        self, database_url: str, changed: Callable[[Change], None], told: Callable[[str | None], None]
    ) -> None:
        self._database_url = database_url
        self._changed = changed
        self._told = told
        self._news = asyncio.Event()
        self._event_ids: set[int] = set()
        self._order_ids: set[str] = set()
        self._whole: set[str] = set()  # orders of which nothing is missing
        self._open: set[str] = set()
        self._known: set[str] = set()
        self._others = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._session()
            except _AWAY as error:
                logger.info("PostgreSQL is away; trying again", exc_info=error)
                self._told("PostgreSQL is away; trying again")
            except Exception as error:
                logger.info("reading the orders failed; trying again", exc_info=error)
                self._told(f"the orders cannot be read ({type(error).__name__}: {error}); trying again")
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _session(self) -> None:
        """Listen first, then catch up: nothing falls between the two."""
        async with listening(self._database_url, self._heard, self._news.set) as connection:
            async with asyncio.timeout(_ANSWER_SECONDS):
                recent = await recent_order_ids(connection, _RECENT_ORDERS)
            behind = [*reversed(recent), *sorted(self._open.difference(recent))]
            for first in range(0, len(behind), _WHOLE_AT_ONCE):
                await self._read(connection, [], behind[first : first + _WHOLE_AT_ONCE])
            await self._count_others(connection)
            self._told(None)
            while True:
                await self._wait(connection)
                event_ids, order_ids = sorted(self._event_ids), sorted(self._order_ids - self._whole)
                self._event_ids.clear()
                self._order_ids.clear()
                if event_ids:
                    known = len(self._known)
                    await self._read(connection, event_ids, order_ids)
                    if self._others and len(self._known) > known:  # it may have been one of the others
                        await self._count_others(connection)
                    await asyncio.sleep(_GATHER_SECONDS)

    async def _count_others(self, connection: Connection) -> None:
        async with asyncio.timeout(_ANSWER_SECONDS):
            self._others = await count_others(connection, sorted(self._known))
        self._changed(Change(others=self._others))

    async def _wait(self, connection: Connection) -> None:
        """For news; raises one of AWAY when the connection is gone."""
        while not self._news.is_set():
            try:
                async with asyncio.timeout(_QUIET_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await check_alive(connection)
        self._news.clear()
        if connection.is_closed():
            raise DependencyUnavailable("postgresql", "the connection was closed")

    def _heard(self, notification: Notification) -> None:
        self._event_ids.add(notification.event_id)
        self._order_ids.add(notification.order_id)
        self._news.set()

    async def _read(self, connection: Connection, event_ids: list[int], order_ids: list[str]) -> None:
        """Some events, and every event of some orders, in one query."""
        async with asyncio.timeout(_ANSWER_SECONDS):
            change = to_change(await read_orders(connection, event_ids, order_ids))
        for order in change.orders:
            self._known.add(order.order_id)
            if order.order_id in order_ids:
                self._whole.add(order.order_id)
            if order.closed_at is None:
                self._open.add(order.order_id)
            else:
                self._open.discard(order.order_id)
        self._changed(change)


def to_change(rows: Iterable[Row]) -> Change:
    """Rows of the query console_orders."""
    known = list(rows)
    return Change(
        orders=tuple(_order(row) for row in known if row["state"] is not None),
        events=tuple(_event(event) for row in known for event in row["events"]),
        attempts=tuple(
            AttemptsRead(row["order_id"], row["read_at"], tuple(map(_attempt, row["attempts"]))) for row in known
        ),
    )


def _order(row: Row) -> OrderRow:
    same = (
        "order_id",
        "state",
        "policy",
        "scenario",
        "review",
        "deadline_seconds",
        "started_at",
        "closed_at",
        "read_at",
    )
    amounts = ("amount_cents", "charged_cents", "refunded_cents")
    texts = ("stop_reason", "stopped_by", "tracking")
    columns: dict[str, Any] = {name: row[name] for name in same + amounts}
    columns |= {name: row[name] or "" for name in texts}
    return OrderRow(
        **columns,
        address=to_address(row["address_json"]),
    )


def _event(row: dict[str, Any]) -> EventRow:
    """From a row as JSON."""
    payload: dict[str, object] = row["payload_json"]
    said = [str(payload[name]) for name in ("kind", "reason", "note", "tracking", "fault") if payload.get(name)]
    said += [f"{amount:.2f}"] if isinstance(amount := payload.get("amount"), int | float) else []
    said += (
        [f"{payload['error']}{f' (at {where})' if (where := payload.get('where')) else ''}"]
        if payload.get("error")
        else []
    )
    said += [f"{payload['message']}"] if payload.get("message") else []
    said += [f"{count} times"] if isinstance(count := payload.get("count"), int) and count > 1 else []
    said += [f"by {payload[name]}" for name in ("by", "approved_by", "updated_by") if payload.get(name)]
    return EventRow(
        id=row["id"],
        order_id=row["order_id"],
        type=row["type"],
        ts=datetime.fromisoformat(row["ts"]),
        detail=", ".join(said),
        step=row["step"],
        attempt=row["attempt"] or 0,
        outcome=row["outcome"],
        **{name: row[name] or "" for name in ("error", "worker", "run_id", "activity_id")},
    )


def _attempt(row: dict[str, Any]) -> ConsoleAttempt:
    """From a row as JSON."""
    return ConsoleAttempt(
        step=row["step"],
        number=row["attempt"],
        outcome=row["outcome"],
        error=row["error"],
        started_at=datetime.fromisoformat(row["started_at"]),
        ended_at=datetime.fromisoformat(row["ended_at"]) if row["ended_at"] else None,
        worker=row["worker"],
    )
