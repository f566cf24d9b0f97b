"""`lab.load`: many orders of one notebook, with a bar that stays out of what the notebook stores."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orderkit.analysis.markup import escape
from orderkit.lab.display import Order
from orderkit.lab.orders import Orders
from orderkit.lab.progress import counting, say
from orderkit.load.report import LoadReport

if TYPE_CHECKING:
    from temporalio.client import Client

    from orderkit.load.run import Progress
    from orderkit.store.database import Pool


@dataclass(frozen=True)
class LoadRun:
    """What became of a load. It shows counts only; times are in `report`."""

    report: LoadReport  #: percentiles, orders a second, retries, the auditor's findings
    orders: tuple[Order, ...]  #: all that were started, for lab.charts and lab.orders

    @property
    def per_second(self) -> float:
        """Orders a second, from the first start to the last end."""
        return self.report.per_second

    def __repr__(self) -> str:
        return str(self.report)

    def _repr_html_(self) -> str:
        return f'<p style="font-size:115%">{"✔" if self.report.passed else "✖"} {escape(str(self.report))}</p>'


async def run_load(
    lab_orders: Orders,
    pool: Callable[[], Awaitable[Pool]],
    temporal: Callable[[], Awaitable[Client]],
    name: str,
    orders: int,
    concurrency: int,
    deadline: float,
    within_seconds: float,
    **fields: object,
) -> LoadRun:
    """Start the orders as `lab.orders.start` does, under numbered names, and wait for their ends.

    An interrupt starts no more orders and audits those that were started, the open ones too; then the cell stops.
    """
    from orderkit.load.run import Load

    width = len(str(orders))
    started: list[Order] = []

    async def start(number: int) -> str:
        order = await lab_orders.start(f"{name}{number:0{width}}", deadline=deadline, **fields)  # type: ignore[arg-type]
        started.append(order)
        return order.id

    with counting() as count:

        def tell(progress: Progress) -> None:
            if progress.audited is None:
                count(progress.ended, progress.orders, f"{progress.ended} of {progress.orders} orders have ended")
            else:
                count(progress.audited, progress.started, f"{progress.audited} of {progress.started} orders audited")

        load = Load(start, await pool(), orders, concurrency, deadline, within_seconds, tell)
        report = await load.run(await temporal(), settle=False)
    run = LoadRun(report, tuple(sorted(started, key=lambda order: order.name)))
    if report.interrupted:
        say(f"Interrupted. {report}. No more were started; those that are open go on.")
        raise asyncio.CancelledError
    return run
