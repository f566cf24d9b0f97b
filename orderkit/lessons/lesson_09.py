"""Lesson 09's exercise: a workflow of one's own with two activities at the same time, a signal, a timer and retries."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from orderkit.errors import LabError, RunEnded
from orderkit.lab.display import Run
from orderkit.lab.lab import Lab
from orderkit.lessons.findings import attempts, wanted
from orderkit.lessons.verdicts import Observation, Verdict, verdict

if TYPE_CHECKING:
    import pandas as pd

_ENDS_WITHIN_SECONDS = 10.0
_TRIES = 3


async def party(lab: Lab, workflow: str = "Party") -> Verdict:
    """Three parties of the check's own: with a guest, without one, and with a cake that nobody can bake."""
    hints = (
        "start both activities before you await either: asyncio.gather takes them both",
        "arrived only notes the guest; run waits with workflow.wait_condition(lambda: …, timeout=…), which raises "
        "TimeoutError. RetryPolicy(maximum_attempts=3) bounds the attempts",
        "cake, tea = await asyncio.gather(workflow.execute_activity(bake, cake, start_to_close_timeout=…, "
        'retry_policy=…), …brew, "green"…); then try: await workflow.wait_condition(lambda: self.guest != "", '
        'timeout=timedelta(seconds=1)); except TimeoutError: return "nobody came"',
    )
    try:
        findings = await _look(lab, workflow)
    except LabError as error:
        findings = [Observation(False, str(error).replace("\n", " "))]
    return verdict("party", findings, hints)


async def _look(lab: Lab, workflow: str) -> list[Observation]:
    guest, alone, stone = await asyncio.gather(
        _run(lab, workflow, "nut", "party-with-ada", guest="ada"),
        _run(lab, workflow, "nut", "party-alone"),
        _run(lab, workflow, "stone", "party-of-stone"),
    )
    seen = await lab.workflows.history(guest, full=True)
    right = "nut cake and green tea for ada"
    return [
        wanted(guest.result == right, f"with ada as its guest: {_end(guest)}", f"it should be completed: {right!r}"),
        wanted(*_together(seen)),
        wanted(_tries(seen, "brew") == 2, f"brew was tried {_tries(seen, 'brew')} times", "the first cup is spilled"),
        wanted(alone.result == "nobody came", f"with no guest: {_end(alone)}", "it should be completed: 'nobody came'"),
        await _timer(lab, alone),
        wanted(
            stone.state == "failed" and await _tried(lab, stone) == _TRIES,
            f"with a cake of stone: {stone.state}, after {attempts(await _tried(lab, stone))} of bake",
            f"it should be failed, after {_TRIES}",
        ),
    ]


async def _run(lab: Lab, workflow: str, cake: str, name: str, guest: str = "") -> Run:
    run = await lab.workflows.start(workflow, cake, name=name)
    if guest:
        with suppress(RunEnded):  # how it has ended is told below
            await lab.workflows.signal(run, "arrived", guest)
    try:
        return await lab.workflows.wait(run, within_seconds=_ENDS_WITHIN_SECONDS)
    except LabError:
        await lab.workflows.terminate(run)
        raise


def _end(run: Run) -> str:
    """`completed: 'nobody came'`."""
    return repr(run).partition(": ")[2]


def _together(history: pd.DataFrame) -> tuple[bool, str, str]:
    """Both were scheduled before either had ended."""
    kinds = history[history["name"].isin(["bake", "brew"])]["type"].str.removeprefix("ACTIVITY_TASK_").tolist()
    both = kinds[:2] == ["SCHEDULED", "SCHEDULED"]
    found = "bake and brew were scheduled together" if both else "bake and brew were not scheduled together"
    return both, found, "neither should wait for the other"


def _tries(history: pd.DataFrame, activity: str) -> int:
    """The number of the attempt that Temporal recorded, which is the last one."""
    started = history[(history["type"] == "ACTIVITY_TASK_STARTED") & (history["name"] == activity)]
    return int(started["attempt"].max()) if len(started) else 0


async def _tried(lab: Lab, run: Run) -> int:
    return _tries(await lab.workflows.history(run, full=True), "bake")


async def _timer(lab: Lab, run: Run) -> Observation:
    history = await lab.workflows.history(run)
    fired = bool((history["type"] == "TIMER_FIRED").any())
    return wanted(fired, f"its history has {'a' if fired else 'no'} timer that fired", "it should wait for one second")
