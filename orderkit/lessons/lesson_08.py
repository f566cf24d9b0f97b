"""Lesson 08's exercise: a release stands still with every order that it has got."""

from __future__ import annotations

import asyncio

from temporalio.client import WorkflowExecutionStatus

from orderkit.errors import OrderNotFound, WaitExpired
from orderkit.lab.lab import Lab
from orderkit.lessons.builds.shop import Builds
from orderkit.lessons.findings import audit_is_clean, paid_once, wanted
from orderkit.lessons.verdicts import Observation, Verdict, verdict

BAD = "typo"
_PROBE = "probe"
_PROBE_SECONDS = 20.0


async def release_taken_back(lab: Lab, builds: Builds, *names: str) -> Verdict:
    """New orders ship, and those that stood still have shipped, on another build, by their own workflow."""
    hints = (
        "two things are to be done: no new order may go there any more, and the ones that are there must leave it",
        f"pinned orders stay where they are, also on a build that fails: a roll-back does not help {', '.join(names)}",
        "builds.roll_back(), then builds.move(name, build) for each of them, with a build that replays their history; "
        "then builds.wait(…): each with await",
    )
    return verdict("release_taken_back", await _look(lab, builds, names), hints)


async def _look(lab: Lab, builds: Builds, names: tuple[str, ...]) -> list[Observation]:
    found = [await _order(lab, builds, name) for name in names]
    if missing := [each for each in found if "was started" in each.text]:
        return missing
    new = await _new_orders(builds)
    if not (all(each.ok for each in found) and new.ok):
        return [*found, new]
    return [*found, new, *[await paid_once(lab, name) for name in names[:1]], await audit_is_clean(lab, *names)]


async def _order(lab: Lab, builds: Builds, name: str) -> Observation:
    try:
        ((_, state, _, last),) = (await builds.orders(name)).rows
        order = await lab.orders.find(name)
    except OrderNotFound:
        return Observation(False, f"no order {name} was started: run the cell above")
    handle = (await lab.connect_temporal()).get_workflow_handle(order.workflow_id)
    if (await handle.describe()).status is WorkflowExecutionStatus.TERMINATED:
        return Observation(False, f"the workflow of {name} was terminated; it should ship by itself")
    right = state == "shipped" and last != BAD
    return wanted(right, f"order {name} is {state}, on {last}", "it should be shipped")


async def _new_orders(builds: Builds) -> Observation:
    """Start one and see."""
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            await builds.order(_PROBE)
            await builds.approve(_PROBE)
            ((_, state, build, _),) = (await builds.wait(_PROBE, within_seconds=5)).rows
    except (TimeoutError, WaitExpired):
        ((_, state, build, _),) = (await builds.orders(_PROBE)).rows
    return wanted(state == "shipped", f"a new order begins on {build} and is {state}", "it should ship")
