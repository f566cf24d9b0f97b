"""A learner's copy of a lesson: afresh, solved, or from a round on. Files only; the old copy is never lost."""

from __future__ import annotations

import builtins
import dis
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from types import CodeType

import nbformat
import pytest

from orderkit.errors import LabError, LessonNotFound
from orderkit.lessons.copies import Lesson, find_folder, find_lesson, lay, lessons
from orderkit.lessons.jump import Notebook, begin_at, rounds_of
from orderkit.lessons.statements import sections, source_of
from orderkit.stack.jupyter import notebook_text, shipped_notebooks

TOP_LEVEL_AWAIT = 0x2000  # ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
LESSONS = lessons()
JUMPS = [(lesson, round) for lesson in LESSONS for round in rounds_of(lesson.fresh())[1:]]


fresh, solved = cache(Lesson.fresh), cache(Lesson.solved)


@cache
def jumped(lesson: Lesson, round: str) -> Notebook:
    return begin_at(fresh(lesson), solved(lesson), round)


def read(notebook: Notebook) -> nbformat.NotebookNode:
    found = nbformat.reads(notebook_text(notebook), as_version=4)
    nbformat.validate(found)
    return found


@pytest.fixture(params=LESSONS, ids=lambda lesson: lesson.file.stem)
def lesson(request: pytest.FixtureRequest) -> Lesson:
    found: Lesson = request.param
    return found


@pytest.fixture(params=JUMPS, ids=lambda jump: f"{jump[0].number}-{jump[1]}")
def jump(request: pytest.FixtureRequest) -> tuple[Lesson, str]:
    lesson, round = request.param
    return lesson, round


def test_there_are_thirteen_lessons() -> None:
    assert [lesson.number for lesson in LESSONS] == [f"{number:02}" for number in range(13)]
    assert len(JUMPS) == 63


def test_reset_lays_the_lesson_without_outputs_and_keeps_the_old_copy(lesson: Lesson, tmp_path: Path) -> None:
    mine = tmp_path / lesson.file.name
    mine.write_text("mine")
    copy = lay(tmp_path, lesson, lesson.fresh())
    assert copy.notebook == mine
    assert copy.kept is not None
    assert re.fullmatch(rf"{lesson.file.stem} \(\d{{4}}-\d\d-\d\d \d\d\.\d\d\.\d\d\)\.ipynb", copy.kept.name)
    assert copy.kept.read_text() == "mine"
    assert sorted(tmp_path.iterdir()) == sorted([mine, copy.kept])
    made, shipped = nbformat.read(mine, as_version=4), nbformat.read(lesson.file, as_version=4)
    nbformat.validate(made)
    assert [cell.source for cell in made.cells] == [cell.source for cell in shipped.cells]
    assert [cell.outputs for cell in made.cells if cell.get("outputs")] == []


def test_solve_fills_in_the_exercise_and_nothing_else(lesson: Lesson) -> None:
    left, right = read(fresh(lesson)), read(solved(lesson))
    different = [(a, b) for a, b in zip(left.cells, right.cells, strict=True) if a.source != b.source]
    assert len(different) == 1
    for exercise, solution in different:
        assert "exercise" in exercise.metadata.tags
        assert "# your code here" in exercise.source
        assert "# your code here" not in solution.source
    assert [cell.outputs for cell in right.cells if cell.get("outputs")] == []


def test_goto_has_every_cell_of_the_lesson_and_one_more_to_run(jump: tuple[Lesson, str]) -> None:
    lesson, round = jump
    whole, made = read(fresh(lesson)), read(jumped(lesson, round))
    cells = {cell.id: cell for cell in made.cells}
    assert len(cells) == len(made.cells)
    new = {"you-begin-here", "catch-up", "what-you-have-skipped"}
    text = "\n\n".join(cell.source for cell in made.cells if cell.id not in new)
    assert sorted(text.split()) == sorted(" ".join(cell.source for cell in whole.cells).split())
    assert [cell.id for cell in made.cells][:3] == [whole.cells[0].id, "you-begin-here", "catch-up"]
    heading = "## Exercise" if round == "exercise" else f"## Round {round}"
    assert made.cells[3].source.startswith(heading)
    assert "# <solution>" not in cells["catch-up"].source


def test_goto_round_1_is_the_lesson_as_it_is(lesson: Lesson) -> None:
    assert lesson.at("1") == lesson.fresh()


def test_every_name_that_is_used_from_the_round_on_is_there(jump: tuple[Lesson, str]) -> None:
    """By Python's own compiler, and for the solved exercise: this shares nothing with how it is found out."""
    known = set(dir(builtins)) | {"get_ipython"}
    for code in compiled(jump):
        assert names(code, ("LOAD_NAME", "LOAD_GLOBAL")) - known - names(code, ("STORE_NAME",)) == set()
        known |= names(code, ("STORE_NAME",))


def compiled(jump: tuple[Lesson, str]) -> Iterator[CodeType]:
    lesson, round = jump
    for text in to_run(lesson, round):
        if not text.startswith("%%"):
            yield compile(text, "cell", "exec", flags=TOP_LEVEL_AWAIT)


def to_run(lesson: Lesson, round: str) -> list[str]:
    """What is run: the catch-up cell, and the code of the solved lesson from the round on."""
    cells = jumped(lesson, round)["cells"]
    until = next(at for at, cell in enumerate(cells) if cell["id"] == "what-you-have-skipped")
    filled_in = {cell["id"]: source_of(cell) for cell in solved(lesson)["cells"]}
    return [filled_in.get(cell["id"]) or source_of(cell) for cell in cells[:until] if cell["cell_type"] == "code"]


def names(code: CodeType, instructions: tuple[str, ...]) -> set[str]:
    """Also those in its comprehensions and lambdas."""
    own = {each.argval for each in dis.get_instructions(code) if each.opname in instructions}
    inner = (names(each, instructions) for each in code.co_consts if isinstance(each, CodeType))
    return own.union(*inner)


def test_every_order_that_is_asked_for_from_the_round_on_is_started(jump: tuple[Lesson, str]) -> None:
    lesson, round = jump
    text = "\n".join(to_run(lesson, round))
    started = set(re.findall(r'\.(?:start|order|visit|load)\(\s*(?:"[\w-]+", )*?"([\w-]+)"', text))
    for listed in re.findall(r"builds\.order\(([^)]+)\)", text):
        started |= set(re.findall(r'"([\w-]+)"', listed))
    started |= set(re.findall(r'name="([\w-]+)"', text))
    asked = set()
    for arguments in re.findall(r"(?:lab\.(?:orders\.\w+|charts\.\w+|audit|failures)|builds\.\w+)\(([^)]*)\)", text):
        asked |= set(re.findall(r'"([\w-]+)"', re.split(r"\b\w+=", arguments)[0]))
    # tea01 … and boat1 … have their names from a list; the drill of lesson 12 starts bell; two are builds.
    listed = {name for name in asked if re.fullmatch(r"(tea|boat|rush|cup)\d*", name)} | {"bell", "deaf", "patched"}
    assert asked - started - listed - {"hasty", "typo"} == set()


@pytest.mark.parametrize("name", ["3", "03", "03_retries_and_timeouts", "03_retries_and_timeouts.ipynb"])
def test_a_lesson_has_several_names(name: str) -> None:
    assert find_lesson(name).file.name == "03_retries_and_timeouts.ipynb"


@pytest.mark.parametrize("name", ["13", "-1", "", "tea", "03_retries", "../03", "٣"])
def test_an_unknown_lesson_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(LessonNotFound, match=r"there are: 00 start here, .*12 operate$"):
        find_lesson(name)


@pytest.mark.parametrize("round", ["0", "5", "06", "", "beginning", "Exercise"])
def test_an_unknown_round_is_refused_with_those_that_there_are(round: str) -> None:
    with pytest.raises(LessonNotFound, match=r"lesson 12 has no round '.*'; it has: 1, 2, 3, 4, exercise$"):
        find_lesson("12").at(round)


def test_the_second_copy_in_a_second_is_kept_too(tmp_path: Path) -> None:
    lesson = LESSONS[0]
    kept = []
    for number in range(5):
        (tmp_path / lesson.file.name).write_text(str(number))
        kept.append(lay(tmp_path, lesson, lesson.fresh()).kept)
    assert [path.read_text() for path in kept if path] == ["0", "1", "2", "3", "4"]


def test_two_at_once_lose_nothing(tmp_path: Path) -> None:
    lesson = LESSONS[0]
    (tmp_path / lesson.file.name).write_text("mine")
    with ThreadPoolExecutor(4) as pool:
        copies = list(pool.map(lambda _: lay(tmp_path, lesson, lesson.fresh()), range(8)))
    kept = [copy.kept for copy in copies if copy.kept]
    assert len(set(kept)) == len(kept)
    assert [path.read_text() for path in kept].count("mine") == 1
    assert read(lesson.fresh()) == nbformat.read(tmp_path / lesson.file.name, as_version=4)


def test_a_folder_that_nobody_may_write_to_loses_nothing(tmp_path: Path) -> None:
    place = tmp_path / "notebooks"
    place.write_text("a file, and no folder")
    with pytest.raises(LabError, match="cannot be written"):
        lay(place, LESSONS[0], LESSONS[0].fresh())


def test_copies_are_found_from_where_people_type(tmp_path: Path) -> None:
    home, mine = tmp_path / ".orderkit", tmp_path / "notebooks"
    deeper = mine / "notes"
    assert find_folder(home, tmp_path) == mine  # not there yet
    deeper.mkdir(parents=True)
    (mine / LESSONS[0].file.name).write_text("mine")
    assert find_folder(home, tmp_path) == mine
    assert find_folder(home, mine) == mine  # JupyterLab's terminal begins there
    assert find_folder(home, deeper) == mine
    shipped = shipped_notebooks()
    assert find_folder(shipped.parent / ".orderkit", shipped).parent == shipped.parent
    assert find_folder(shipped.parent / ".orderkit", shipped) != shipped


def test_a_heading_in_the_middle_of_a_cell_begins_a_round() -> None:
    cells = [{"cell_type": "markdown", "id": "a", "source": ["before\n", "\n", "## Round 1: x\n", "after"]}]
    assert [(part.name, [each["source"] for each in part.cells]) for part in sections(cells)] == [
        ("beginning", ["before"]),
        ("1", ["## Round 1: x\nafter"]),
    ]


def headings(notebook: Path) -> list[str]:
    cells = nbformat.read(notebook, as_version=4).cells
    return [cell.source.splitlines()[0] for cell in cells if cell.cell_type == "markdown" and cell.source[:1] == "#"]


@pytest.mark.parametrize("made", ["fresh", "solved", "at round 3"])
def test_in_a_german_folder_a_lesson_is_german_and_its_code_the_same(tmp_path: Path, made: str) -> None:
    lesson = LESSONS[0]
    notebook = {"fresh": lesson.fresh, "solved": lesson.solved, "at round 3": lambda: lesson.at("3")}[made]()
    english = lay(tmp_path / "notebooks", lesson, notebook).notebook
    german = lay(tmp_path / "notebooks-de", lesson, notebook).notebook
    assert "## Round 3: what Temporal remembers" in headings(english)
    assert "## Runde 3: was Temporal sich merkt" in headings(german)
    codes = [
        [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        for path in (english, german)
    ]
    assert codes[0] == codes[1]


def test_what_is_not_translated_is_english_in_a_german_folder(tmp_path: Path) -> None:
    copy = lay(tmp_path / "notebooks-de", LESSONS[1], LESSONS[1].fresh()).notebook
    assert headings(copy)[0] == "# 01 · The life of an order"


def test_a_german_folder_that_is_there_alone_is_the_learners(tmp_path: Path) -> None:
    (tmp_path / "notebooks-de").mkdir()
    assert find_folder(tmp_path / ".orderkit", tmp_path) == tmp_path / "notebooks-de"
    (tmp_path / "notebooks").mkdir()
    assert find_folder(tmp_path / ".orderkit", tmp_path) == tmp_path / "notebooks"
