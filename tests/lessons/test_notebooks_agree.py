"""Sources and notebooks agree, and every lesson keeps the house's rules; executing them is nbval's part."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest
from nbformat import NotebookNode

from orderkit.course.questions import ANSWERS, CHOICES

FOLDER = Path(__file__).parents[2] / "notebooks"
sys.path.insert(0, str(FOLDER))
SOURCES = sorted((FOLDER / "src").glob("*.py"))

from build import compose  # noqa: E402


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


def number_of(lesson: NotebookNode) -> str:
    return str(lesson.cells[0].source[2:4])


def is_prediction(cell: NotebookNode) -> bool:
    return bool(re.fullmatch(r"predictions\.(ask\((\d|\".+\")\)|score\(\))", cell.source))


def test_lesson_is_of_the_right_size(lesson: NotebookNode) -> None:
    """Beside the cells with its buttons, and with the explanations that they lead to."""
    lines = [len(cell.source.splitlines()) for cell in code_of(lesson) if not is_file(cell)]
    files = [len(cell.source.splitlines()) for cell in code_of(lesson) if is_file(cell)]
    others = [cell for cell in lesson.cells if not is_prediction(cell) and "explain" not in tags_of(cell)]
    assert 25 <= len(others) <= 46
    assert max(lines) <= 15
    assert max(files, default=0) <= 30
    assert statistics.median(lines) <= 5


def test_lesson_opens_with_goals_and_closes_with_a_recap(lesson: NotebookNode) -> None:
    assert re.match(r"# \d\d · ", lesson.cells[0].source)
    assert "**Afterwards you can**" in lesson.cells[0].source
    assert lesson.cells[-1].source.startswith("## Recap")


def test_lesson_has_rounds_with_predictions(lesson: NotebookNode) -> None:
    text = "\n".join(cell.source for cell in lesson.cells)
    rounds = re.split(r"^## ", text, flags=re.MULTILINE)
    rounds = [each for each in rounds if each.startswith("Round ")]
    assert 3 <= len(rounds) <= 5
    assert all("**Predict.**" in each and "predictions.ask(" in each for each in rounds)


def test_each_round_is_predicted_run_and_explained(lesson: NotebookNode) -> None:
    """What answers a question is folded, and something is run before it is opened."""
    parts = []
    for cell in lesson.cells:
        if cell.cell_type == "code":
            parts.append("ask" if "ask" in cell.source and is_prediction(cell) else "run")
        elif "explain" in tags_of(cell):
            parts.append("explain")
        elif "**Predict.**" in cell.source:
            parts.append("predict")
        assert "**Explain" not in cell.source
    course = " ".join(parts)
    assert re.fullmatch(r"((run|predict (run )?ask( run)+ explain) ?)+", course), course


def test_questions_have_their_right_answer_in_the_package_and_in_the_explanation(lesson: NotebookNode) -> None:
    number = number_of(lesson)
    asked, told, question = [], [], ""
    for cell in lesson.cells:
        if "**Predict.**" in cell.source:
            question = cell.source.partition("**Predict.**")[2]
        if match := re.fullmatch(r"predictions\.ask\(\"?(.+?)\"?\)", cell.source):
            asked.append(match[1])
            assert re.findall(r"(?:^|· )([a-z])\) ", question, re.MULTILINE) == list(CHOICES), question
        if "explain" in tags_of(cell):
            told += re.findall(r"\A\*\*([a-z])\.\*\* ", cell.source)
    assert dict(zip(asked, told, strict=True)) == ANSWERS[number]
    assert f'Predictions(lab.home, "{number}")' in "".join(cell.source for cell in lesson.cells)
    assert lesson.cells[-2].source == "predictions.score()" or "museum.answers" in lesson.cells[-2].source


def test_no_answer_is_always_the_same_letter(lesson: NotebookNode) -> None:
    assert len(set(ANSWERS[number_of(lesson)].values())) == len(CHOICES)


def test_explanations_are_folded_in_the_notebook(lesson: NotebookNode) -> None:
    source = next(path for path in SOURCES if path.name.startswith(number_of(lesson)))
    built = compose(source, solved=False)
    for cell, written in zip(built.cells, lesson.cells, strict=True):
        if "explain" in tags_of(written):
            assert cell.source.startswith("<details>\n<summary><b>Explain</b></summary>\n\n**")
            assert cell.source.endswith("\n\n</details>")
            assert not re.search(r"^#", written.source, re.MULTILINE)  # no heading: it would be folded, too
        else:
            assert "<details>" not in cell.source


def test_lesson_defines_nothing(lesson: NotebookNode) -> None:
    for cell in code_of(lesson):
        if "exercise" not in tags_of(cell) and not is_file(cell):
            assert not re.search(r"^\s*(async )?(def|class) ", cell.source, re.MULTILINE), cell.source


def test_ignored_output_has_its_reason_for_authors_only(lesson: NotebookNode) -> None:
    for cell in lesson.cells:
        assert bool(cell.metadata.get("why")) == ("nbval-ignore-output" in tags_of(cell)), cell.source
        assert "compare it" not in cell.source
        assert "test of this notebook" not in " ".join(cell.source.split())


def test_next_is_a_link_once_that_lesson_is_there(lesson: NotebookNode) -> None:
    number = int(number_of(lesson))
    for source in (FOLDER / "src").glob(f"{number + 1:02}_*.py"):
        assert f"**Next:** [{source.stem}]({source.stem}.ipynb)" in lesson.cells[-1].source


def test_links_lead_somewhere(lesson: NotebookNode) -> None:
    for cell in lesson.cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\(([^)#]+)\)", cell.source):
                assert (FOLDER / target).exists(), f"{target} is not there (a lesson works without the internet)"
