"""Lesson 11: a worker that takes too much, who goes first, and the exercise: a rush that waits without a worker."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from typing import TYPE_CHECKING

from orderkit.analysis import frames
from orderkit.lab.display import Order
from orderkit.lab.lab import Lab
from orderkit.lab.load import LoadRun
from orderkit.lessons.extra_worker import ExtraWorker
from orderkit.lessons.findings import audit_is_clean, wanted
from orderkit.lessons.verdicts import Observation, Verdict, verdict

if TYPE_CHECKING:
    import pandas as pd

_FEWEST = 12


async def greedy_worker(lab: Lab, slots: int = 1_000) -> ExtraWorker:
    """Put one worker that takes so many attempts at once in the place of the lab's own; it ends with the kernel."""
    await lab.workers.stop()
    environment = await lab.workers.make_room("extra-greedy") if lab.environment else dict(os.environ)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "orderkit", "worker", "--until-input-ends"),
        env=environment | {"ORDERKIT_WORKER_SLOTS": str(slots)},
        stdin=PIPE,
        stdout=DEVNULL,
        stderr=DEVNULL,
        start_new_session=True,
    )
    return ExtraWorker(process)


async def summaries(lab: Lab, *orders: Order) -> pd.DataFrame:
    """One line an order, as analysis.frames.SUMMARIES."""
    from orderkit.store.events import Reader

    return await frames.read_summaries(Reader(await lab.open_pool()), [order.id for order in orders])


def compare(**runs: LoadRun) -> pd.DataFrame:
    """Loads side by side: shipped, attempts, retries, orders a second, and the seconds to an order's end."""
    from orderkit.lab.frame import Table

    rows = [
        (
            name.replace("_", " "),
            run.report.ends.get("shipped", 0),
            run.report.attempts,
            run.report.retries,
            round(run.per_second, 1),
            run.report.percentiles.get("p50"),
            run.report.percentiles.get("p99"),
        )
        for name, run in runs.items()
    ]
    columns = ["load", "shipped", "attempts", "retries", "orders a second", "p50 s", "p99 s"]
    return Table(rows, columns=columns)


async def priorities(lab: Lab, name: str) -> pd.DataFrame:
    """The activities of an order's own workflow as they were scheduled, each with its priority: 1 goes first."""
    from orderkit.lab.frame import Table

    order = await lab.orders.find(name)
    handle = (await lab.connect_temporal()).get_workflow_handle(order.workflow_id)
    rows = [
        (event.activity_task_scheduled_event_attributes.activity_type.name, priority.priority_key)
        async for event in handle.fetch_history_events()
        if (priority := event.activity_task_scheduled_event_attributes.priority).priority_key
    ]
    return Table(rows, columns=["activity", "priority"])


async def waited_for_workers(lab: Lab, name: str = "rush") -> Verdict:
    """At least twelve orders were there before anybody worked; then two workers did; the wait cost no attempt."""
    hints = (
        "Temporal's task queue keeps what nobody takes. Let nobody take it for a while: await lab.workers.stop()",
        "lab.load waits for the orders' ends, so no cell after it would start a worker. Start the orders one by one "
        f'instead: await lab.orders.start(f"{name}{{number:02}}", review="none", deadline=120), in a loop',
        "stop the workers, start 12 orders in a loop, then await lab.workers.start(2), then wait for each order with "
        "await lab.orders.wait(…, within_seconds=90): all of it in one cell",
    )
    return verdict("waited_for_workers", await _look(lab, name), hints)


async def _look(lab: Lab, name: str) -> list[Observation]:
    names = [each for each in lab.orders.started if each.startswith(name)]
    if len(names) < _FEWEST:
        return [Observation(False, f"{len(names)} orders {name}… were started; it should be at least {_FEWEST}")]
    orders = [await lab.orders.find(each) for each in names]
    found = await summaries(lab, *orders)
    shipped = int((found["state"] == "shipped").sum())
    observations = [wanted(shipped == len(names), f"{shipped} of {len(names)} orders shipped", "wait for all of them")]
    if found.empty:
        return observations
    attempts = await lab.orders.attempts(*orders, full=True)
    early = int((found["started_at"] < attempts["started_at"].min()).sum())
    workers = attempts["worker"].nunique()
    first = int((attempts.groupby("order_id")["attempt"].first() == 1).sum())
    return [
        *observations,
        wanted(
            early == len(names),
            f"{early} of {len(names)} orders were there before the first attempt",
            "all of them should wait while no worker runs",
        ),
        wanted(workers == 2, f"{workers} worker{'s' * (workers != 1)} did the work", "it should be 2"),
        wanted(
            first == len(names), f"{first} of {len(names)} began with attempt 1", "a wait in the queue costs no attempt"
        ),
        await audit_is_clean(lab, *names),
    ]
