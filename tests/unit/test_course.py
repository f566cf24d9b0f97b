"""The course: progress is told to who has subscribed, and the plan is that of the teaching notes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from orderkit.course import progress
from orderkit.course.plan import CLASS_MINUTES, round_minutes, rounds
from orderkit.course.progress import Progress, Verdict, subscribe
from orderkit.course.questions import ANSWERS
from orderkit.lessons.predictions import Predictions
from orderkit.lessons.verdicts import Observation, verdict

TEACHING = Path(__file__).parents[2] / "docs" / "how-to" / "teaching.md"


@pytest.fixture(autouse=True)
def nobody_listens() -> Iterator[None]:
    yield
    progress._listeners.clear()


def test_who_has_subscribed_hears_of_question_prediction_and_verdict(tmp_path: Path) -> None:
    heard: list[Progress] = []
    leave = subscribe(heard.append)
    predictions = Predictions(tmp_path, "03")
    predictions.ask(2)
    predictions.choose("1", "b")  # another mind about the round before
    verdict("an exercise", [Observation(False, "not yet")], ["look again"])
    verdict("an exercise", [Observation(True, "done")], ["look again"])
    leave()
    leave()
    predictions.choose("2", "a")
    assert heard == [
        Progress("03", "2"),
        Progress("03", "1", prediction="b"),
        Progress("03", "2", verdict=Verdict.MISSED),
        Progress("03", "2", verdict=Verdict.SOLVED),
    ]
    assert progress.here() == Progress("03", "2")


def test_failing_listener_does_not_break_the_button(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Progress) -> None:
        raise RuntimeError("the board is away")

    heard: list[Progress] = []
    subscribe(fail)
    subscribe(heard.append)
    Predictions(tmp_path, "00").choose("1", "c")
    assert heard == [Progress("00", "1", prediction="c")]
    assert "the board is away" in caplog.text


def test_the_plan_is_that_of_the_teaching_notes() -> None:
    rows = re.findall(r"^\| \[(\d\d) .*\|$", TEACHING.read_text(), re.MULTILINE)
    cells = {row[3:5]: row.split(" | ") for row in TEACHING.read_text().splitlines() if re.match(r"\| \[\d\d ", row)}
    assert sorted(cells) == sorted(rows) == sorted(ANSWERS)
    assert {lesson: int(row[-1].strip("| ")) for lesson, row in cells.items()} == CLASS_MINUTES
    assert {lesson: int(row[3]) for lesson, row in cells.items()} == {each: len(rounds(each)) for each in ANSWERS}


def test_the_rounds_of_a_lesson_fill_its_time() -> None:
    for lesson, minutes in CLASS_MINUTES.items():
        each = [round_minutes(lesson, name) for name in rounds(lesson)]
        assert sum(each) == pytest.approx(minutes)
        assert 2 <= each[0] <= 6, lesson
