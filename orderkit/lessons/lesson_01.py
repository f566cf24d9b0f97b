"""Lesson 01's exercise: a parent with two children."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orderkit.lab.lab import Lab
from orderkit.lessons.findings import ended, paid_once, shipped, times, wanted
from orderkit.lessons.verdicts import Observation, Verdict, verdict

if TYPE_CHECKING:
    import pandas as pd


async def two_children(lab: Lab, name: str = "twins") -> Verdict:
    """An order whose first shipping fails and whose second one ships; charged once."""
    hints = (
        f'the order is called "{name}"; the child gives up when all attempts of its last step, dispatch, have failed',
        "the policy spec gives up after 3 attempts, budget never does; the second child continues with attempt 4",
        'leave the policy out; let three attempts fail and the fourth succeed: faults="dispatch=…" with four words',
    )
    return verdict("two_children", await _look(lab, name), hints)


async def _look(lab: Lab, name: str) -> list[Observation]:
    order = await ended(lab, name)
    if isinstance(order, Observation):
        return [order]
    history = await lab.orders.history(name, full=True)
    children = _count(history, "type", "CHILD_WORKFLOW_EXECUTION_STARTED")
    dispatches = int(((await lab.orders.attempts(name))["step"] == "dispatch").sum())
    two = wanted(
        children == 2,
        f"its parent started {children} {_plural(children)}; dispatch was tried {times(dispatches)}",
        "a second child should start after the first one gives up, and ship",
    )
    failed = _count(history, "type", "CHILD_WORKFLOW_EXECUTION_FAILED")
    right = "1" if failed == 1 else "1: the first, before the second one ships"
    gave_up = Observation(failed == 1, f"{failed} {_plural(failed)} gave up; it should be {right}")
    signals = history[history["type"] == "WORKFLOW_EXECUTION_SIGNALED"]
    told = _count(signals, "name", "dispatch_failed")
    heard = wanted(told == 1, f"the parent got the signal dispatch_failed {times(told)}", "it should get it once")
    return [shipped(name, order), two, gave_up, heard, await paid_once(lab, name)]


def _count(history: pd.DataFrame, column: str, value: str) -> int:
    return int((history[column] == value).sum())


def _plural(children: int) -> str:
    return "child" if children == 1 else "children"
