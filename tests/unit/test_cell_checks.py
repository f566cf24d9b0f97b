"""The known mistakes in a cell are found before anything runs, each in its line; good code is left alone."""

from __future__ import annotations

import pytest

from orderkit.cells.check import as_module, mistakes_in, notes_on, read
from orderkit.cells.code import Code
from orderkit.cells.mistakes import Mistake

PARTY = """\
import random, time, uuid, os
import datetime as dt
from datetime import datetime

@activity.defn
async def bake(cake: str, layers: int = 1) -> str:
    await asyncio.sleep(0.1)
    return f"{cake} of {layers}"

@activity.defn
async def clear() -> None: ...

def plain(cake: str) -> str:
    return cake

@workflow.defn
class Party:
    def __init__(self) -> None:
        self.guest = ""

    @workflow.signal
    def arrived(self, guest: str) -> None:
        self.guest = guest

    async def sit(self) -> None:
        await workflow.wait_condition(lambda: self.guest != "", timeout=timedelta(seconds=1))

    @workflow.run
    async def run(self, cake: str) -> str:
        HERE
        return cake
"""
HERE = PARTY.splitlines().index("        HERE") + 2  # the magic is line 1
LIMIT = "start_to_close_timeout=timedelta(seconds=1)"


def code_with(line: str, cell: str = PARTY) -> Code:
    code = read(as_module(cell.replace("HERE", line)))
    assert isinstance(code, Code)
    return code


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("time.sleep(3)", "time.sleep stops the whole worker"),
        ("random.random()", "random.random draws something else"),
        ("datetime.now()", "datetime.datetime.now says something else"),
        ("dt.datetime.now(dt.UTC)", "datetime.datetime.now says something else"),
        ("dt.date.today()", "datetime.date.today says something else"),
        ("uuid.uuid4()", "uuid.uuid4 makes another id"),
        ("os.environ['HOME']", "os.environ differs from worker to worker"),
        ("open('cake.txt')", "open is a file of this machine"),
        ("input('who?')", "input waits for a keyboard"),
        ("while not self.guest: pass", "this loop waits for nobody"),
        (f"workflow.execute_activity(bake, 'nut', {LIMIT})", "workflow.execute_activity(…) does nothing"),
        (f"cake = workflow.execute_activity(bake, 'nut', {LIMIT})", "workflow.execute_activity(…) does nothing"),
        (f"return workflow.execute_activity(bake, 'nut', {LIMIT})", "workflow.execute_activity(…) does nothing"),
        ("workflow.sleep(3)", "workflow.sleep(…) does nothing"),
        ("asyncio.sleep(3)", "asyncio.sleep(…) does nothing"),
        ("self.sit()", "self.sit(…) does nothing"),
        ("if workflow.wait_condition(lambda: self.guest): pass", "workflow.wait_condition(…) does nothing"),
        ("await workflow.execute_activity(bake, 'nut')", "an activity needs a time limit"),
        ("await bake('nut')", "would run the activity inside the workflow"),
        (f"await workflow.execute_activity(bake('nut'), {LIMIT})", "bake(…) calls the activity here"),
        (f"await workflow.execute_activity(plain, 'nut', {LIMIT})", "plain is no activity"),
        (f"await workflow.execute_activity(bake, {LIMIT})", "bake takes cake: str, layers: int, and is given nothing"),
        (f"await workflow.execute_activity(bake, 'nut', 2, {LIMIT})", "only one argument"),
        (f"await workflow.execute_activity(bake, 3, {LIMIT})", "bake takes cake: str, and is given 3"),
        (f"await workflow.execute_activity(clear, 'all', {LIMIT})", "clear takes nothing, and is given 1 argument"),
        ("await workflow.sleeep(3)", "workflow has no sleeep"),
        ("gest = Guest(cake)", "nobody knows the name Guest"),
        ("requests.get('http://x')", "requests.get reaches outside"),
    ],
)
def test_mistake_in_workflow_code_is_named_with_its_line(line: str, told: str) -> None:
    mistakes = mistakes_in(code_with(line))
    assert [mistake.line for mistake in mistakes] == [HERE] * len(mistakes)
    assert told in mistakes[0].what
    assert len(mistakes) <= 2


@pytest.mark.parametrize(
    "line",
    [
        f"await asyncio.gather(*(workflow.execute_activity(bake, each, {LIMIT}) for each in ('a', 'b')))",
        f"one = workflow.execute_activity(bake, args=[cake, 2], {LIMIT}); await asyncio.gather(one, self.sit())",
        f"task = asyncio.create_task(workflow.execute_activity(clear, {LIMIT})); await task",
        f"handle = workflow.start_activity(bake, cake, {LIMIT}); await handle",
        "try: await self.sit()\n        except TimeoutError: pass",
        "a, b = await asyncio.gather(self.sit(), workflow.sleep(1))",
        "cake = workflow.random().choice(['nut', plain(cake)]); workflow.now(); workflow.uuid4()",
        "while True:\n            await workflow.sleep(1)\n            if self.guest: break",
        "n = 0\n        while n < 3: n += 1",
        "random.Random(7).random()",
        "waits = [self.sit() for _ in range(3)]; await asyncio.gather(*waits)",
        "workflow.logger.info('cake %s', cake)",
        "match cake:\n            case 'nut' as kind: return kind",
        "[x for x in (1, 2)]; lambda y: y; from math import pi; pi",
    ],
)
def test_good_code_is_left_alone(line: str) -> None:
    assert mistakes_in(code_with(line)) == []


def test_helpers_that_a_workflow_calls_are_workflow_code_and_others_are_not() -> None:
    cell = "import time\n" + PARTY.replace("return cake\n\n@workflow", "time.sleep(1)\n    return cake\n\n@workflow", 1)
    assert mistakes_in(code_with("pass", cell)) == []
    (mistake,) = mistakes_in(code_with("plain(cake)", cell))
    assert mistake.line == 16


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("time.sleep(1)", "async activity: time.sleep waits without await"),
        ("requests.get('http://x')", "async activity: requests.get waits without await"),
        ("workflow.now()", "activity: workflow.now works in workflows only"),
    ],
)
def test_mistake_in_an_activity_is_named(call: str, told: str) -> None:
    cell = "import requests\n" + PARTY.replace("await asyncio.sleep(0.1)", call)
    (mistake,) = mistakes_in(code_with("pass", cell))
    assert (mistake.line, mistake.what.startswith(told)) == (9, True)
    assert mistakes_in(code_with("pass", cell.replace("async def bake", "def bake"))) == (
        [] if "workflow" not in call else [mistake]
    )


def test_syntax_error_has_the_line_of_the_cell() -> None:
    assert read(as_module("x = 1\nclass Party\n    pass\n")) == Mistake(3, "Python cannot read this: expected ':'")


def test_workflow_needs_a_run_that_can_wait() -> None:
    (missing,) = mistakes_in(code_with("pass", PARTY.replace("    @workflow.run\n", "")))
    assert missing.what == "Party has no method to run"
    (sync,) = mistakes_in(code_with("pass", PARTY.replace("async def run", "def run")))
    assert "cannot wait" in sync.what


def test_print_in_a_workflow_is_only_noted() -> None:
    code = code_with("print(cake)")
    assert mistakes_in(code) == []
    assert [note.line for note in notes_on(code)] == [HERE]
