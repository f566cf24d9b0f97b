"""Lesson 01: a parent with two children."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orderkit.lessons.checks import Bench, OrderBook
from orderkit.lessons.verdicts import Finding, Verdict, verdict

if TYPE_CHECKING:
    import pandas as pd


async def two_children(lab: Bench, name: str = "twins") -> Verdict:
    """An order whose first shipping fails and whose second one ships; charged once."""
    hints = (
        f'the order is called "{name}"; the child gives up when its last step, dispatch, fails for good',
        "the policy spec gives up after 3 attempts, budget never does; the second child's attempts count on: 4, 5 …",
        'say nothing of a policy, and let three attempts fail, the fourth be fine: faults="dispatch=…" with four words',
    )
    return verdict("two_children", await _two_children(lab.orders, name), hints)


async def _two_children(orders: OrderBook, name: str) -> list[Finding]:
    if name not in orders.started:
        return [Finding(False, f"no order {name} was started in this notebook")]
    order = await orders.status(name)
    if order.outcome is None:
        return [Finding(False, f"order {name} is {order.state}, it has not ended: wait for it")]
    why = f", because of: {order.reason}" if order.reason else ""
    shipped = Finding(order.outcome == "shipped", f"order {name} is {order.outcome}{why}")
    history = await orders.history(name, True)
    children = _count(history, "type", "CHILD_WORKFLOW_EXECUTION_STARTED")
    attempts = await orders.attempts(name)
    dispatches = int((attempts["step"] == "dispatch").sum())
    tried = f"; dispatch was tried {dispatches} times" if dispatches != 1 else "; dispatch was tried once"
    two = Finding(children == 2, f"its parent started {children} {_plural(children)}{tried}")
    failed = _count(history, "type", "CHILD_WORKFLOW_EXECUTION_FAILED")
    gave_up = Finding(failed == 1, f"{failed} {_plural(failed)} gave up; it should be 1")
    signals = history[history["type"] == "WORKFLOW_EXECUTION_SIGNALED"]
    told = _count(signals, "name", "dispatch_failed")
    heard = Finding(told == 1, f"the parent got the signal dispatch_failed {'once' if told == 1 else f'{told} times'}")
    ledger = await orders.ledger(name)
    paid = int((ledger["kind"] == "charge").sum()) - int((ledger["kind"] == "refund").sum())
    once = Finding(paid == 1, f"the payment provider took the money {'once' if paid == 1 else f'{paid} times'}")
    return [shipped, two, gave_up, heard, once]


def _count(history: pd.DataFrame, column: str, value: str) -> int:
    return int((history[column] == value).sum())


def _plural(children: int) -> str:
    return "child" if children == 1 else "children"
