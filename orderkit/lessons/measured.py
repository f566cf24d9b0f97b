"""What was measured of orders that a notebook has waited for, as a frame beside predictions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd


class LastStatus(Protocol):
    """What the API said of an order that has ended."""

    @property
    def state(self) -> str:
        """Its end."""

    @property
    def policy(self) -> str | None:
        """The retry policy's name."""

    @property
    def started_at(self) -> datetime | None:
        """When its workflow started."""

    @property
    def closed_at(self) -> datetime | None:
        """When its row had its end."""


class EndedOrder(Protocol):
    """What `lab.orders.wait` returns."""

    @property
    def name(self) -> str:
        """What the notebook calls it."""

    @property
    def last(self) -> LastStatus | None:
        """How it was when it was last looked at."""


def measured(orders: Iterable[EndedOrder], deadline_seconds: float = 15.0) -> pd.DataFrame:
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
