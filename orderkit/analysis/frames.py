"""From rows to DataFrames. The `*_frame` functions are pure; the `read_*` functions ask the store's Reader.

The dictionaries say which columns a frame has, and their dtypes. A missing text is "", a missing number NaN (<NA>
among whole numbers and truth values), a missing time NaT; times are UTC, durations seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import pandas as pd

from orderkit.analysis.markup import unformulated
from orderkit.core.orders import OrderId
from orderkit.store.events import Reader


class Row(Protocol):
    """An asyncpg Record, or a dict."""

    def keys(self) -> Iterable[str]:
        """The columns' names."""

    def __getitem__(self, key: Any, /) -> Any:
        """A column's value."""


MONEY = frozenset({"amount", "charged", "refunded", "kept"})


class Frame(pd.DataFrame):
    """Shown as pandas shows it, but for money and seconds, which get two digits, and nothing where one is missing.

    Dollar signs are shown as they are: JupyterLab would take them for formulas.
    """

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return type(self)

    def __repr__(self) -> str:
        return repr(with_two_digits(self))

    def _repr_html_(self) -> str | None:
        shown: str | None = with_two_digits(self)._repr_html_()  # type: ignore[operator]
        return unformulated(shown) if shown else shown


def with_two_digits(frame: pd.DataFrame) -> pd.DataFrame:
    """To be shown: money as 50.90, seconds as 299.80, and nothing for a number that is missing."""
    shown = pd.DataFrame(frame)
    return pd.concat([_shown(column) for _, column in shown.items()], axis=1) if len(shown.columns) else shown


def _shown(column: pd.Series[Any]) -> pd.Series[Any]:
    name = column.name
    if str(column.dtype) == "Int64":
        return column.astype("string").fillna("")
    if not pd.api.types.is_float_dtype(column.dtype) or not isinstance(name, str):
        return column
    if name in MONEY or name.endswith("_seconds"):
        return column.map(lambda number: f"{number:.2f}" if number == number else "")
    return column


TIME = "datetime64[us, UTC]"
#: one line an attempt
ATTEMPTS = {
    "order_id": "str",
    "step": "str",
    "attempt": "int64",
    "started_at": TIME,
    "ended_at": TIME,
    "duration_seconds": "float64",
    "outcome": "str",
    "error": "str",
    "worker": "str",
    "workflow_id": "str",
    "run_id": "str",
    "activity_id": "str",
    "start_event_id": "int64",
}
#: one line an attempt (kind `attempt`, name: its step) or event (kind `event`, name: its type); seconds since start
TIMELINE = {
    "order_id": "str",
    "kind": "str",
    "name": "str",
    "attempt": "Int64",
    "outcome": "str",
    "detail": "str",
    "workflow_id": "str",
    "started_at": TIME,
    "ended_at": TIME,
    "start_seconds": "float64",
    "end_seconds": "float64",
    "event_id": "int64",
}
#: one line an order
SUMMARIES = {
    "order_id": "str",
    "state": "str",
    "policy": "str",
    "scenario": "str",
    "amount": "float64",
    "stop_reason": "str",
    "started_at": TIME,
    "closed_at": TIME,
    "duration_seconds": "float64",
    "deadline_seconds": "float64",
    "within_deadline": "boolean",
    "attempts": "int64",
    "retries": "int64",
}
#: one line a movement of money or of a package
LEDGER = {"order_id": "str", "ts": TIME, "who": "str", "kind": "str", "key": "str", "amount": "float64"}
#: one line an event; `payload_json` holds a dict
EVENTS = {
    "id": "int64",
    "order_id": "str",
    "type": "str",
    "payload_json": "object",
    "ts": TIME,
    "step": "str",
    "attempt": "Int64",
    "outcome": "str",
    "error": "str",
    "worker": "str",
    "workflow_id": "str",
    "run_id": "str",
    "activity_id": "str",
}
PAGE = 1000


def attempts_frame(rows: Iterable[Row]) -> pd.DataFrame:
    """Rows of trellis_attempts, as ATTEMPTS."""
    return typed_frame(rows, ATTEMPTS)


def timeline_frame(rows: Iterable[Row]) -> pd.DataFrame:
    """Rows of trellis_timeline, as TIMELINE."""
    return typed_frame(rows, TIMELINE)


def summaries_frame(rows: Iterable[Row]) -> pd.DataFrame:
    """Rows of trellis_order_summary, as SUMMARIES."""
    return typed_frame(rows, SUMMARIES)


def ledger_frame(rows: Iterable[Row]) -> pd.DataFrame:
    """What the outside world knows, as LEDGER."""
    return typed_frame(rows, LEDGER)


def events_frame(rows: Iterable[Row]) -> pd.DataFrame:
    """Rows of trellis_events, as EVENTS."""
    return typed_frame(rows, EVENTS)


def retry_waits(attempts: pd.DataFrame) -> pd.DataFrame:
    """The waits between the attempts of one activity.

    Columns: order_id str, step str, attempt int64 and outcome str (of the attempt before the wait), wait_seconds
    float64. An attempt without an end (lost, running) gives none. A hung attempt's own end is noted a moment after
    Temporal gave it up, and a short wait may be over by then: 0.
    """
    ordered = attempts.sort_values(["order_id", "run_id", "activity_id", "attempt"])
    following = ordered.groupby(["order_id", "run_id", "activity_id"])["started_at"].shift(-1)
    seconds = (following - ordered["ended_at"]).dt.total_seconds().clip(lower=0)
    waits = ordered[["order_id", "step", "attempt", "outcome"]].assign(wait_seconds=seconds)
    return waits[seconds.notna()].reset_index(drop=True)


async def read_attempts(reader: Reader, order_ids: Iterable[OrderId]) -> pd.DataFrame:
    """The attempts of some orders, as ATTEMPTS."""
    return attempts_frame(await reader.attempts_of(list(order_ids)))


async def read_timeline(reader: Reader, order_id: OrderId) -> pd.DataFrame:
    """One order's TIMELINE."""
    return timeline_frame(await reader.timeline(order_id))


async def read_summaries(reader: Reader, order_ids: Iterable[OrderId]) -> pd.DataFrame:
    """The SUMMARIES of some orders; an unknown order has none."""
    return summaries_frame(await reader.summaries_of(list(order_ids)))


async def read_ledger(reader: Reader, order_ids: Iterable[OrderId]) -> pd.DataFrame:
    """The LEDGER of some orders."""
    return ledger_frame(await reader.ledger_of(list(order_ids)))


async def read_events(reader: Reader, order_id: OrderId, after_id: int = 0) -> pd.DataFrame:
    """All EVENTS of one order, however many."""
    rows: list[Row] = []
    while True:
        page = await reader.events(order_id, after_id, PAGE)
        rows += [dict(row) for row in page]
        if len(page) < PAGE:
            return events_frame(rows)
        after_id = page[-1]["id"]


def typed_frame(rows: Iterable[Row], columns: dict[str, str]) -> pd.DataFrame:
    """Rows as a frame with these columns and dtypes; what a row lacks is empty."""
    frame = pd.DataFrame([dict(row) for row in rows], columns=list(columns))
    return Frame({name: _column(frame[name], dtype) for name, dtype in columns.items()}, columns=list(columns))


def _column(values: Any, dtype: str) -> Any:
    """The column with its dtype, from whatever the database's driver gave."""
    if dtype == TIME:
        return pd.to_datetime(values, utc=True).astype(TIME)
    missing = {"str": "", "Int64": pd.NA, "boolean": pd.NA}
    if dtype in missing:
        values = values.astype("object").where(values.notna(), missing[dtype])
    return values.astype(dtype)
