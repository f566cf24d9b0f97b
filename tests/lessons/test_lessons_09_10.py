"""The exercises of lessons 09 and 10 on a whole lab: tried empty, wrong in the likely ways, and right; and `%%test`."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import jupytext
import pytest
import pytest_asyncio
from support.classroom import notebook, whole_lab

from orderkit.errors import CellRefused, LabError
from orderkit.lab import Lab
from orderkit.lessons import lesson_09, lesson_10, verdicts
from orderkit.lessons.museum import finding_tests
from orderkit.lessons.museum.exhibits import EXHIBITS
from orderkit.stack.stack import Stack

SOURCES = Path(__file__).parents[2] / "notebooks" / "src"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with whole_lab(tmp_path_factory.mktemp("lessons")) as stack:
        yield stack


@pytest_asyncio.fixture(scope="module")
async def lab(stack: Stack) -> AsyncIterator[Lab]:
    async with notebook(stack) as lab:
        yield lab


@pytest.fixture(autouse=True)
def no_check_has_missed_yet() -> None:
    verdicts._tries.clear()


def cell_of(lesson: str, first: str, having: str = "") -> str:
    """The body of a cell of a lesson, solved."""
    cells = jupytext.read(SOURCES / f"{lesson}.py", fmt="py:percent").cells
    (text,) = [cell.source for cell in cells if cell.source.split("\n")[0] == first and having in cell.source]
    return str(text.partition("\n")[2])


KITCHEN = cell_of("09_write_your_own", "%%workflow kitchen")
PARTY = cell_of("09_write_your_own", "%%workflow", "class Party")
INVOICE = cell_of("10_test_it", "%%workflow", "reminder")
NOBODY_PAYS = cell_of("10_test_it", "%%test invoice", "test_nobody_pays")
BUGS = cell_of("10_test_it", "%%test bugs")
GATHER = re.search(r"        baked = .*\n        brewed = .*\n        eats, drinks = .*\n", PARTY)
assert GATHER
AFTER_EACH_OTHER = """\
        eats = await workflow.execute_activity(bake, cake, **LIMITS)
        drinks = await workflow.execute_activity(brew, "green", **LIMITS)
"""


async def test_party_asks_for_the_workflow(lab: Lab) -> None:
    assert "✖ no cell of this notebook defines 'Party'" in repr(await lesson_09.party(lab))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (GATHER[0], AFTER_EACH_OTHER, "✖ bake and brew were not scheduled together; neither should wait"),
        ("maximum_attempts=3", "maximum_attempts=4", "✖ with a cake of stone: failed, after 4 attempts of bake"),
        ("maximum_attempts=3", "maximum_attempts=1", "✖ run party-with-ada"),
        (", timeout=timedelta(seconds=1)", "", "✖ run party-alone has not ended within 2 s - nothing is pending"),
        ("{eats} and {drinks}", "{eats}", "it should be completed: 'nut cake and green tea for ada'"),
        ("self.guest = guest", "pass", "✖ with ada as its guest: completed: 'nobody came'"),
    ],
    ids=["one after the other", "too many tries", "no second try", "no timer", "no tea", "deaf"],
)
async def test_party_says_what_is_wrong(
    lab: Lab, old: str, new: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lesson_09, "_ENDS_WITHIN_SECONDS", 2.0)
    lab.workflows.define(KITCHEN, "kitchen")
    assert old in PARTY
    lab.workflows.define(PARTY.replace(old, new))
    verdict = await lesson_09.party(lab)
    assert not verdict
    assert told in repr(verdict) or "with ada as its guest: failed" in repr(verdict)


async def test_party_is_content(lab: Lab) -> None:
    lab.workflows.define(KITCHEN, "kitchen")
    lab.workflows.define(PARTY)
    assert await lesson_09.party(lab)


async def test_test_cell_reports_each_test_in_a_line(lab: Lab) -> None:
    lab.workflows.define(INVOICE)
    assert repr(lab.tests.define(NOBODY_PAYS, "invoice")) == "✔ test_nobody_pays\n1 passed"
    wrong = NOBODY_PAYS.replace("for the lawyer", "for nobody")
    told = repr(lab.tests.define(wrong, "invoice")).splitlines()
    line = wrong.splitlines().index('    assert said == "a case for nobody"') + 2
    assert told[0].startswith(f"✖ test_nobody_pays: line {line}: assert 'a case for the lawyer' == 'a case for nobody'")
    assert told[-1] == "1 failed"
    assert not await lab.tests.run("invoice")


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("def test_x():\n    assert nothing\n", "✖ test_x: line 3: NameError: name 'nothing' is not defined"),
        ("\nimport nothere\n", "✖ the file: line 3: ModuleNotFoundError: No module named 'nothere'"),
        ("x = 1\n", "no test in it: a test is a function called test_…"),
    ],
    ids=["an error in a test", "an import that is not there", "no test"],
)
async def test_test_cell_says_what_is_wrong(lab: Lab, cell: str, told: str) -> None:
    assert repr(lab.tests.define(cell, "wrong")).splitlines()[0] == told


async def test_test_cell_is_refused_where_python_cannot_read_it(lab: Lab) -> None:
    with pytest.raises(CellRefused, match="line 2: Python cannot read this: expected ':'"):
        lab.tests.define("def test_x()\n    pass\n", "wrong")
    with pytest.raises(CellRefused, match="the tests need a name"):
        lab.tests.define("def test_x(): pass\n", "")
    with pytest.raises(LabError, match=r"there is no test_nothing\.py"):
        await lab.tests.run("nothing")


async def test_bugs_found_says_what_is_wrong(lab: Lab) -> None:
    assert "✖ no cell %%test bugs was run" in repr(lesson_10.bugs_found(lab))
    blind = 'async def test_a(shop):\n    visit = await shop("free-tea")\n    assert visit\n'
    strict = 'async def test_b(shop):\n    visit = await shop("free-tea")\n    assert not visit\n'
    broken = "async def test_c(shop):\n    shop.nothing\n"
    lab.tests.define(f"{blind}{strict}{broken}def test_d():\n    assert True\n", "bugs")
    told = repr(lesson_10.bugs_found(lab))
    assert "✖ test_a is green on the exhibit, so it has not found the bug" in told
    assert "✖ test_b is red on the exhibit; on OrderWorkflow it should be green" in told
    assert "✖ test_c is red on the exhibit, but for another reason: AttributeError" in told
    assert "✖ test_d has not run on an exhibit: give it the argument shop" in told


@pytest.mark.timeout(300)  # 14 orders, one after the other, some of which wait for their deadline
async def test_the_seven_tests_find_the_seven_bugs(lab: Lab) -> None:
    text = Path(finding_tests.__file__).read_text()  # noqa: ASYNC240
    assert all(f'shop("{exhibit.name}")' in text for exhibit in EXHIBITS)
    report = lab.tests.define(text, "bugs")
    verdict = lesson_10.bugs_found(lab)
    assert len(report.results) == 2 * len(EXHIBITS)
    assert verdict, repr(verdict)
