"""Every error that a learner of lesson 09 makes in the first ten minutes: how it is made, and what must be said of it.

`python -m support.learner_errors` makes each of them on a lab and prints the table, with the seconds that each took.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from support.classroom import notebook, whole_lab

from orderkit.errors import CellRefused, LabError
from orderkit.lab import Lab
from orderkit.stack.stack import Stack

CELL = """\
@activity.defn
async def boil(litres: int) -> str:
    return f"{litres} l"

@workflow.defn
class Tea:
    def __init__(self) -> None:
        self.guest = ""

    @workflow.signal
    def arrived(self, guest: str) -> None:
        self.guest = guest

    @workflow.run
    async def run(self, sugar: int) -> str:
        water = await workflow.execute_activity(boil, 1, start_to_close_timeout=timedelta(seconds=3))
        await workflow.wait_condition(lambda: self.guest != "")
        return f"tea for {self.guest}, from {water}"
"""
_RUN = "    async def run(self, sugar: int) -> str:\n"
_BOIL = '    return f"{litres} l"\n'

Make = Callable[[Lab], Awaitable[object]]


@dataclass(frozen=True)
class Case:
    """`told` is in what the cell says, and `line` is the line that it names, 0 for none."""

    name: str
    make: Make
    told: str
    line: int = 0


def changed(old: str, new: str) -> str:
    """The cell with something else in it."""
    assert old in CELL
    return CELL.replace(old, new, 1)


def cell(text: str) -> Make:
    """Run it as a `%%workflow` cell."""

    async def make(lab: Lab) -> object:
        return lab.workflows.define(text)

    return make


def in_run(line: str, imports: str = "") -> Make:
    """A line at the beginning of `run`."""
    return cell((f"{imports}\n" if imports else "") + changed(_RUN, f"{_RUN}        {line}\n"))


async def open_run(lab: Lab) -> None:
    """A run that waits for its guest."""
    lab.workflows.define(CELL)
    await lab.workflows.start("Tea", 2)
    try:
        await lab.workflows.wait("tea", within_seconds=0.3)
    except LabError:
        return


async def new_signature(lab: Lab) -> object:
    """While a run is open, its workflow wants another argument."""
    return lab.workflows.define(changed("sugar: int)", "sugar: int, milk: bool)"))


async def new_order(lab: Lab) -> object:
    """While a run is open, its workflow waits before it boils."""
    return lab.workflows.define(changed("        water =", "        await workflow.sleep(1)\n        water ="))


async def fails_in_a_run(lab: Lab) -> object:
    """A mistake that only running shows."""
    lab.workflows.define(changed("        water =", "        self.gest.upper()\n        water ="))
    await lab.workflows.start("Tea", 2)
    return await lab.workflows.wait("tea")


async def activity_fails(lab: Lab) -> object:
    """An activity that raises, again and again."""
    lab.workflows.define(changed(_BOIL, "    return 1 / 0\n"))
    await lab.workflows.start("Tea", 2)
    return await lab.workflows.wait("tea", within_seconds=0.5)


async def waits_for_nobody(lab: Lab) -> object:
    """Nobody sends the signal."""
    return await lab.workflows.wait("tea", within_seconds=0.3)


CASES = [
    Case("syntax: a colon is missing", cell(changed("class Tea:", "class Tea")), "expected ':'", 7),
    Case("syntax: a parenthesis is open", cell(changed("(seconds=3))", "(seconds=3)")), "'(' was never closed", 17),
    Case("no decorator above the class", cell(changed("@workflow.defn\n", "")), "no class in this cell has @", 1),
    Case("no run", cell(changed("    @workflow.run\n", "")), "Tea has no method to run", 7),
    Case("run without async", cell(changed("    async def run", "    def run")), "Tea.run cannot wait", 16),
    Case("a name with a typo", in_run("await asincio.sleep(1)"), "nobody knows the name asincio", 17),
    Case("a call with a typo", in_run("await workflow.sleeep(1)"), "workflow has no sleeep", 17),
    Case("an import that is not there", cell(f"import nothere\n{CELL}"), "No module named 'nothere'", 2),
    Case("an import that the sandbox refuses", cell(f"import httpx\n{CELL}"), "Temporal's sandbox: Cannot access", 2),
    Case("await forgotten", cell(changed("await workflow.exec", "workflow.exec")), "does nothing until it is", 17),
    Case("await forgotten, with sleep", in_run("asyncio.sleep(1)"), "asyncio.sleep(…) does nothing until", 17),
    Case("time.sleep", in_run("time.sleep(1)", "import time"), "time.sleep stops the whole worker", 18),
    Case("requests", in_run("requests.get('http://x')", "import requests"), "requests.get reaches outside", 18),
    Case("httpx", in_run("httpx.get('http://x')", "import httpx"), "httpx.get reaches outside", 18),
    Case("random", in_run("random.random()", "import random"), "random.random draws something else", 18),
    Case("datetime.now", in_run("datetime.now()", "from datetime import datetime"), "says something else", 18),
    Case("uuid4", in_run("uuid.uuid4()", "import uuid"), "uuid.uuid4 makes another id", 18),
    Case("open", in_run("open('tea.txt')"), "open is a file of this machine", 17),
    Case("while instead of wait_condition", in_run("while not self.guest: pass"), "this loop waits for nobody", 17),
    Case("time.sleep in an async activity", cell("import time\n" + changed(_BOIL, f"    time.sleep(1)\n{_BOIL}")),
         "async activity: time.sleep waits", 5),
    Case("no time limit", cell(changed(", start_to_close_timeout=timedelta(seconds=3)", "")), "needs a time limit", 17),
    Case("the activity is called", cell(changed("boil, 1,", "boil(1),")), "boil(…) calls the activity here", 17),
    Case("the activity has no decorator", cell(changed("@activity.defn\n", "")), "boil is no activity", 16),
    Case("an argument is missing", cell(changed("boil, 1,", "boil,")), "boil takes litres: int, and is given no", 17),
    Case("an argument of the wrong type", cell(changed("boil, 1,", "boil, 'one',")), "and is given 'one'", 17),
    Case("two activities of one name", cell(CELL + '\n@activity.defn(name="boil")\nasync def heat() -> None: ...\n'),
         "More than one activity named boil"),
    Case("start before any cell", lambda lab: lab.workflows.start("Coffee", 2), "no cell of this notebook defines"),
    Case("start without its argument", lambda lab: lab.workflows.start("Tea"), "Tea.run takes sugar: int; you gave"),
    Case("start with a wrong type", lambda lab: lab.workflows.start("Tea", "two"), "you gave 'two'"),
    Case("an error that only a run shows", fails_in_a_run, "'Tea' object has no attribute 'gest'", 17),
    Case("an activity that raises", activity_fails, "ZeroDivisionError: division by zero"),
    Case("a signal with a typo", lambda lab: lab.workflows.signal("tea", "arived", "ada"), "no signal 'arived'"),
    Case("a signal that nobody sends", waits_for_nobody, "It takes the signals: arrived"),
    Case("another signature while a run is open", new_signature, "missing 1 required positional argument", 16),
    Case("other steps while a run is open", new_order, "event 5 is ActivityTaskScheduled, where the new code", 16),
]  # fmt: skip
NEEDS_OPEN_RUN = {"a signal with a typo", "a signal that nobody sends", *(case.name for case in CASES[-2:])}
NEEDS_CELL = {"start without its argument", "start with a wrong type"}


async def said(lab: Lab, case: Case) -> tuple[str, list[int], float]:
    """What the cell says, the lines that it names, and the seconds until then."""
    if case.name in NEEDS_OPEN_RUN:
        await open_run(lab)
    elif case.name in NEEDS_CELL:
        lab.workflows.define(CELL)
    began = time.monotonic()
    try:
        shown = repr(await case.make(lab))
        raise AssertionError(f"{case.name} went well: {shown}")
    except LabError as error:
        return (
            " ".join(str(error).split()),
            error.lines if isinstance(error, CellRefused) else [],
            time.monotonic() - began,
        )
    finally:
        for name in list(lab.workflows.started):
            await lab.workflows.terminate(name)


async def _table(stack: Stack) -> None:
    async with notebook(stack) as lab:
        print("| error | the cell says | line | seconds |\n| --- | --- | --- | --- |")
        for case in CASES:
            told, _, seconds = await said(lab, case)
            shown = told.replace("|", "\\|")
            print(f"| {case.name} | {shown} | {case.line or '–'} | {seconds:.2f} |", flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, whole_lab(Path(folder)) as stack:
        asyncio.run(_table(stack))
