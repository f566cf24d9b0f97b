"""The console's orders as a DataFrame, for front ends that show no widgets."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from orderkit.console.state import ConsoleOrder, ConsoleState

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {
    "order": "str",
    "state": "str",
    "step": "str",
    "attempts": "int64",
    "left_seconds": "float64",  # NaN once the order has ended
    "charged": "float64",
    "refunded": "float64",
    "kept": "float64",
    "why": "str",
}


def orders_frame(state: ConsoleState, now: datetime) -> pd.DataFrame:
    """One line an order, newest first, with COLUMNS."""
    from orderkit.analysis.frames import Frame

    rows = [_line(order, now) for order in state.newest_first]
    return Frame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def _line(order: ConsoleOrder, now: datetime) -> tuple[object, ...]:
    row = order.row
    charged, refunded, why = (row.charged_cents, row.refunded_cents, row.stop_reason) if row else (0, 0, "")
    amounts = (charged / 100, refunded / 100, order.kept_cents / 100)
    left_seconds = order.left_seconds(now)
    return order.order_id, order.state, order.step, len(order.attempts), left_seconds, *amounts, why
