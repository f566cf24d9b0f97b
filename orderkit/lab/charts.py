"""`lab.charts`: the charts of orderkit/analysis, from orders by name. Each shows itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orderkit.lab.display import Order
from orderkit.lab.orders import Orders
from orderkit.lab.tables import Tables

if TYPE_CHECKING:
    import pandas as pd

    from orderkit.analysis.style import Chart


class Charts:
    """The charts package is loaded with the first chart: it takes a second."""

    def __init__(self, orders: Orders, tables: Tables) -> None:
        self._orders = orders
        self._tables = tables

    async def timeline(self, order: Order | str) -> Chart:
        """One order, step by step: attempts, waits, events, and the deadline."""
        from orderkit.analysis.charts import order_timeline

        order = await self._orders.status(order)
        timeline = await self._orders.timeline(order, full=True)
        timeline = timeline.assign(order_id=order.name)  # the title says it
        return order_timeline(timeline, order.last.deadline_seconds if order.last else None)

    async def attempts(self, *orders: Order | str) -> Chart:
        """How many attempts each step took, by outcome."""
        from orderkit.analysis.charts import attempts_by_step

        return attempts_by_step(await self._orders.attempts(*orders, full=True))

    async def durations(self, *orders: Order | str) -> Chart:
        """How long attempts took, by step."""
        from orderkit.analysis.charts import step_durations

        return step_durations(await self._orders.attempts(*orders, full=True))

    async def waits(self, *orders: Order | str) -> Chart:
        """How long the waits before retries were."""
        from orderkit.analysis.charts import retry_waits

        return retry_waits(await self._orders.attempts(*orders, full=True))

    async def failures(self, *orders: Order | str) -> Chart:
        """Which attempts did not complete, by step and kind over time: of these orders, or of all of the last hour."""
        from orderkit.analysis.charts import failures_over_time

        ids = [(await self._orders.find(order)).id for order in orders] or None
        return failures_over_time(await self._tables.failures(ids, full=True))

    async def outcomes(self, *orders: Order | str) -> Chart:
        """How orders ended and how long it took, against the deadline."""
        from orderkit.analysis.charts import time_to_outcome

        return time_to_outcome(await self._summaries(*orders))

    async def load(self, *orders: Order | str) -> Chart:
        """Throughput and latency over time."""
        from orderkit.analysis.charts import load

        return load(await self._summaries(*orders))

    async def _summaries(self, *orders: Order | str) -> pd.DataFrame:
        from orderkit.analysis import frames

        ids = [(await self._orders.find(order)).id for order in orders]
        return await self._tables.read(lambda reader: frames.read_summaries(reader, ids))
