"""Lesson 12: the alerts that fire now, a backup that is read back, and the drill: something is broken, mend it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from orderkit.errors import LabError, OrderNotFound, WaitExpired
from orderkit.lab.display import Order
from orderkit.lab.frame import Table
from orderkit.lab.lab import Lab
from orderkit.lessons.extra_worker import ExtraWorker, hire
from orderkit.lessons.findings import audit_is_clean, ended, shipped, took, wanted
from orderkit.lessons.verdicts import Observation, Verdict, verdict
from orderkit.stack.target import Target
from orderkit.workflows.reconcile import WORKFLOW_ID as SCHEDULE_ID

if TYPE_CHECKING:
    import pandas as pd
    from temporalio.client import ScheduleHandle

_WITHIN_SECONDS = 40.0
_LOOK_SECONDS = 1.0
_SETTLED_SECONDS = 2.5  # of two queues, one is seen without a worker up to two seconds before the other
_DRILLED = "bell"
_hired: dict[str, ExtraWorker] = {}  # the drill's


@dataclass(frozen=True)
class Rule:
    """An alert of deploy/prometheus/rules.yml, as far as one look at the metrics can tell; `expr` is the rule's own."""

    expr: str
    metric: str
    fires: Callable[[float], bool]


RULES: Mapping[str, Rule] = {
    "OrderkitNoWorker": Rule("max by (queue) (orderkit_workers) == 0", "orderkit_workers", lambda value: value == 0),
    "OrderkitDependencyAway": Rule("orderkit_dependency_up == 0", "orderkit_dependency_up", lambda value: value == 0),
    "OrderkitWorkflowTaskFails": Rule(
        "max(orderkit_failing_workflows) > 0", "orderkit_failing_workflows", lambda value: value > 0
    ),
    "OrderkitOrdersStranded": Rule(
        "max(orderkit_orders_overdue) > 0", "orderkit_orders_overdue", lambda value: value > 0
    ),
}


def judge(metrics: pd.DataFrame) -> list[tuple[str, str]]:
    """Which rules are met by these metrics, with the sample that meets each."""
    return [
        (name, f"{metric}{f' ({labels})' if labels else ''} is {value:g}")
        for name, rule in RULES.items()
        for metric, labels, value in zip(metrics["metric"], metrics["labels"], metrics["value"], strict=True)
        if metric == rule.metric and rule.fires(value)
    ]


async def firing(lab: Lab, until: str = "") -> pd.DataFrame:
    """The alerts whose rule is met now, without the rule's `for`; columns alert, because.

    With `until`, waits for that alert, at most 40 s; `until="none"` for the moment at which none is met.
    """
    deadline = time.monotonic() + _WITHIN_SECONDS
    before: list[tuple[str, str]] | None = None
    same_since = 0.0
    while True:
        met = judge(await lab.metrics("orderkit_"))
        now = time.monotonic()
        names = {name for name, _ in met}
        there = not until or until in names or (until == "none" and not names)
        if met != before:
            before, same_since = met, now
        if (there and (not until or now - same_since >= _SETTLED_SECONDS)) or now > deadline:
            return Table(met or [("none", "all is well")], columns=["alert", "because"])
        await asyncio.sleep(_LOOK_SECONDS)


async def ended_orders(lab: Lab, before: pd.DataFrame | None = None, number: int = 0) -> pd.DataFrame:
    """Orders that have ended, by outcome: outcome, orders; since `before`, once `number` more are counted.

    The API counts every five seconds. Without `before` it waits until all that have ended are counted, the order of
    an earlier drill among them: otherwise they would be taken for orders of this round.
    """
    if before is None:
        with suppress(OrderNotFound, WaitExpired):
            await lab.orders.wait(_DRILLED, within_seconds=_WITHIN_SECONDS)
    deadline = time.monotonic() + _WITHIN_SECONDS
    while True:
        metrics = await lab.metrics("orderkit_orders_ended_total")
        counts = Table(
            {"outcome": metrics["labels"].str.removeprefix("outcome="), "orders": metrics["value"].astype(int)}
        )
        if before is None:
            if counts["orders"].sum() == await _in_the_database(lab) or time.monotonic() > deadline:
                return counts
            await asyncio.sleep(_LOOK_SECONDS)
            continue
        more = counts.assign(orders=counts["orders"] - before["orders"])
        if more["orders"].sum() >= number or time.monotonic() > deadline:
            return more[more["orders"] > 0].reset_index(drop=True)
        await asyncio.sleep(_LOOK_SECONDS)


async def _in_the_database(lab: Lab) -> int:
    """How many orders have ended."""
    from orderkit.store.totals import order_totals

    totals = await order_totals(await lab.open_pool(), (60,))
    return sum(sum(took.counts) for took in totals.ended.values())


async def reconcile_schedule(lab: Lab) -> ScheduleHandle:
    """The schedule that settles stranded orders: `pause()`, `unpause()`, `trigger()`."""
    return (await lab.connect_temporal()).get_schedule_handle(SCHEDULE_ID)


# Backups


@dataclass(frozen=True)
class Backup:
    """A file of `orderkit db backup`."""

    file: Path

    def __repr__(self) -> str:
        return "a backup of all orders up to this moment"


async def back_up(lab: Lab) -> Backup:
    """What `orderkit db backup` does, into the lab's folder; the next one replaces it."""
    from orderkit.stack.backup import back_up as write

    file = lab.home / "lesson-12.dump"
    await asyncio.to_thread(write, lab.target, file)
    return Backup(file)


async def read_back(lab: Lab, backup: Backup, *orders: Order | str) -> pd.DataFrame:
    """Restore it into a database of its own, beside the lab's, and look for these orders there and in Temporal.

    Columns: order, in the backup, in Temporal, audit. Says why not, where PostgreSQL is not the lab's.
    """
    from orderkit.audit.audit import audit
    from orderkit.core.orders import order_workflow_id
    from orderkit.stack.backup import restore
    from orderkit.store.database import open_pool
    from orderkit.store.events import Reader
    from orderkit.temporal.workflows import TemporalWorkflows

    try:
        target = await _rehearsal(lab.target)
    except LabError as error:
        return Table([(str(error),)], columns=["not done"])
    await asyncio.to_thread(restore, target, backup.file, replace=True)
    client = await lab.connect_temporal()
    rows = []
    async with open_pool(target.database_url, 2) as pool:
        for order in [await lab.orders.find(each) for each in orders]:
            row = await Reader(pool).order(order.id)
            report = await audit(pool, client, [order.id])
            status = await TemporalWorkflows(client).status(order_workflow_id(order.id))
            told = "not looked at" if not report.orders else f"{len(report.findings)} findings"
            rows.append((order.name, row["state"] if row else "unknown", status, told))
    return Table(rows, columns=["order", "in the backup", "in Temporal", "audit"])


async def _rehearsal(target: Target) -> Target:
    """The same servers with an empty database of that name."""
    from orderkit.stack import postgres
    from orderkit.store.administration import make_database

    stack = target.stack
    if stack is None:
        raise LabError("no lab was started here: lab = await Lab.start()")
    superuser = stack.superuser_url("postgres")
    await make_database(superuser, postgres.ROLE, stack.secrets.orderkit, _REHEARSAL)
    url = postgres.url(stack.ports.postgres, stack.secrets.orderkit, database=_REHEARSAL)
    return replace(target, settings=target.settings.model_copy(update={"database_url": SecretStr(url)}))


_REHEARSAL = "rehearsal"

# The drill


async def drill(lab: Lab) -> str:
    """Break something, with an order in the middle of it; says only what a customer would.

    Ends once the metrics show it, so that the alert's rule is met for whoever looks now.
    """
    await lab.workers.stop()
    _hired["drill"] = await hire(lab, "order-tq")
    await lab.orders.start(_DRILLED, review="none", deadline=3600)
    await lab.orders.wait(_DRILLED, until="charged", within_seconds=60)
    await firing(lab, until="OrderkitNoWorker")
    return "A customer calls: 'You have my money for bell, and nothing happens.'"


async def mended(lab: Lab, name: str = _DRILLED) -> Verdict:
    """No alert's rule is met, and the order of the drill was shipped, and charged once."""
    hints = (
        "which alert fires? await firing(lab). It names a task queue",
        "who polls that queue? await lab.doctor() says what is missing; lab.workers shows who runs",
        f'await lab.workers.start() puts a worker on both queues; then await lab.orders.wait("{name}")',
    )
    return verdict("mended", await _look(lab, name), hints)


async def _look(lab: Lab, name: str) -> list[Observation]:
    order = await ended(lab, name)
    met = judge(await lab.metrics("orderkit_")) if isinstance(order, Observation) else _rows(await firing(lab, "none"))
    told = ", ".join(f"{alert}: {because}" for alert, because in met)
    calm = Observation(not met, f"these alerts fire: {told}" if met else "no alert fires")
    if isinstance(order, Observation):
        return [calm, order]
    ledger = await lab.orders.ledger(name, full=True)
    return [
        calm,
        shipped(name, order),
        took(int((ledger["kind"] == "charge").sum())),
        wanted(lab.workers.extra == [], f"workers: {lab.workers!r}", "the drill's own worker should be gone"),
        await audit_is_clean(lab, name),
    ]


def _rows(alerts: pd.DataFrame) -> list[tuple[str, str]]:
    pairs = zip(alerts["alert"].astype(str), alerts["because"].astype(str), strict=True)
    return [(alert, because) for alert, because in pairs if alert != "none"]
