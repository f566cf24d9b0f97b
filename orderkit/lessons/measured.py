"""What was measured of orders that a notebook has waited for, as a frame beside predictions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from orderkit.lab.display import Order

if TYPE_CHECKING:
    import pandas as pd


def measured(orders: Iterable[Order], deadline_seconds: float = 15.0) -> pd.DataFrame:
    """One line an order, judged by this deadline whatever its own was; for comparison.compare and time_to_outcome.

    Columns: order str, policy str, state str, duration_seconds float64, deadline_seconds float64, within_deadline bool.
    """
    import pandas as pd

    rows = []
    for order in orders:
        last = order.last
        if last is None or last.started_at is None or last.closed_at is None:
            raise ValueError(f"order {order.name} has not ended: wait for it first")
        seconds = (last.closed_at - last.started_at).total_seconds()
        rows.append((order.name, last.policy, last.state, seconds, deadline_seconds, seconds <= deadline_seconds))
    columns = ["order", "policy", "state", "duration_seconds", "deadline_seconds", "within_deadline"]
    return pd.DataFrame(rows, columns=columns)
