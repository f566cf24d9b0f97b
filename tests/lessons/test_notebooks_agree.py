"""Sources and notebooks agree, and every lesson keeps the house's rules; executing them is nbval's part."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import jupytext
import pytest
from nbformat import NotebookNode

FOLDER = Path(__file__).parents[2] / "notebooks"
SOURCES = sorted((FOLDER / "src").glob("*.py"))


@pytest.fixture(params=SOURCES, ids=lambda path: path.stem)
def lesson(request: pytest.FixtureRequest) -> NotebookNode:
    return jupytext.read(request.param, fmt="py:percent")


def code_of(lesson: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in lesson.cells if cell.cell_type == "code"]


def is_file(cell: NotebookNode) -> bool:
    """Lessons 09 and 10: the cell is a whole file, a workflow or its tests."""
    return cell.source.startswith(("%%workflow", "%%test"))


def tags_of(cell: NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", []))


def test_sources_and_notebooks_agree() -> None:
    said = subprocess.run([sys.executable, FOLDER / "build.py", "--check"], capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr


def test_lesson_is_of_the_right_size(lesson: NotebookNode) -> None:
    lines = [len(cell.source.splitlines()) for cell in code_of(lesson) if not is_file(cell)]
    files = [len(cell.source.splitlines()) for cell in code_of(lesson) if is_file(cell)]
    assert 25 <= len(lesson.cells) <= 40
    assert max(lines) <= 15
    assert max(files, default=0) <= 30
    assert statistics.median(lines) <= 5


def test_lesson_opens_with_goals_and_closes_with_a_recap(lesson: NotebookNode) -> None:
    assert re.match(r"# \d\d · ", lesson.cells[0].source)
    assert "**Afterwards you can**" in lesson.cells[0].source
    assert lesson.cells[-1].source.startswith("## Recap")


def test_each_round_is_predicted_run_and_explained(lesson: NotebookNode) -> None:
    text = "\n".join(cell.source for cell in lesson.cells)
    rounds = re.split(r"^## ", text, flags=re.MULTILINE)
    rounds = [each for each in rounds if each.startswith("Round ")]
    assert 3 <= len(rounds) <= 5
    assert all("**Predict.**" in each and "**Explain.**" in each for each in rounds)


def test_something_is_run_between_each_prediction_and_its_explanation(lesson: NotebookNode) -> None:
    parts = []
    for cell in lesson.cells:
        said = re.findall(r"\*\*(Predict|Explain)\.\*\*", cell.source) if cell.cell_type == "markdown" else ["run"]
        parts.append(" ".join(said))
    course = " ".join(filter(None, parts))
    assert re.fullmatch(r"((run|Explain|Predict( run)+ Explain) ?)+", course), course


def test_lesson_defines_nothing(lesson: NotebookNode) -> None:
    for cell in code_of(lesson):
        if "exercise" not in tags_of(cell) and not is_file(cell):
            assert not re.search(r"^\s*(async )?(def|class) ", cell.source, re.MULTILINE), cell.source


def test_ignored_output_has_its_reason_in_the_cell_above(lesson: NotebookNode) -> None:
    for above, cell in pairwise(lesson.cells):
        if "nbval-ignore-output" in tags_of(cell):
            assert above.cell_type == "markdown"
            assert "not compare" in " ".join(above.source.split()), cell.source


def test_links_lead_somewhere(lesson: NotebookNode) -> None:
    for cell in lesson.cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\(([^)#]+)\)", cell.source):
                assert (FOLDER / target).exists(), f"{target} is not there (a lesson works without the internet)"
