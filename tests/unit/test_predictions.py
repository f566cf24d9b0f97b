"""Predictions: what is remembered, and the buttons that remember it."""

from __future__ import annotations

from pathlib import Path

import pytest

from orderkit.course.questions import ANSWERS
from orderkit.errors import InvalidOrder
from orderkit.lessons.prediction_buttons import Buttons
from orderkit.lessons.predictions import Prediction, Predictions, read_predictions


@pytest.fixture
def first(tmp_path: Path) -> Predictions:
    return Predictions(tmp_path, "00")


def test_choice_is_judged_and_remembered_by_the_next_kernel(first: Predictions, tmp_path: Path) -> None:
    assert first.choose("2", "c") == Prediction("00", "2", "c", right=False)
    assert first.choose("1", ANSWERS["00"]["1"]).right
    again = Predictions(tmp_path, "00")
    assert [each.round for each in again.made] == ["1", "2"]
    assert again.missing == [name for name in ANSWERS["00"] if name not in ("1", "2")]
    assert again.choice("2") == "c"


def test_last_choice_counts(first: Predictions) -> None:
    first.choose("1", "a")
    first.choose("1", "c")
    assert [each.choice for each in first.made] == ["c"]


def test_lessons_do_not_mix(first: Predictions, tmp_path: Path) -> None:
    first.choose("1", "a")
    other = Predictions(tmp_path, "01")
    assert other.made == []
    other.choose("1", "b")
    assert [(each.lesson, each.choice) for each in read_predictions(tmp_path)] == [("00", "a"), ("01", "b")]


def test_unknown_words_are_refused(first: Predictions, tmp_path: Path) -> None:
    for wrong in (lambda: first.choose("1", "d"), lambda: first.choose("99", "a"), lambda: first.ask(99)):
        with pytest.raises(InvalidOrder, match="use one of"):
            wrong()
    with pytest.raises(InvalidOrder, match="lesson"):
        Predictions(tmp_path, "99")


@pytest.mark.parametrize("spoilt", ["", "[]", '{"1": "z", "no round": "a"}', "{"])
def test_spoilt_file_counts_as_no_prediction(tmp_path: Path, spoilt: str) -> None:
    (tmp_path / "predictions").mkdir()
    (tmp_path / "predictions" / "00.json").write_text(spoilt)
    spoilt_lesson = Predictions(tmp_path, "00")
    assert spoilt_lesson.made == []
    assert spoilt_lesson.choose("1", "b").choice == "b"
    assert Predictions(tmp_path, "00").choice("1") == "b"


def styles(row: Buttons) -> dict[str, str]:
    return {choice: button.button_style for choice, button in row.buttons.items()}


def test_click_remembers_and_is_seen(first: Predictions) -> None:
    row = first.ask(1)
    row.make()
    assert set(styles(row).values()) == {""}
    row.buttons["b"].click()
    assert first.choice("1") == "b"
    assert styles(row) == {"a": "", "b": "primary", "c": ""}
    row.buttons["c"].click()
    assert styles(row) == {"a": "", "b": "", "c": "primary"}
    assert row.told is not None
    assert "You predict <b>c</b>" in row.told.value


def test_row_shows_what_an_earlier_kernel_remembered(first: Predictions, tmp_path: Path) -> None:
    first.choose("3", "a")
    row = Predictions(tmp_path, "00").ask(3)
    row.make()
    assert styles(row)["a"] == "primary"


def test_score_says_how_many_were_right(first: Predictions) -> None:
    assert first.score().text() == ""
    answers = ANSWERS["00"]
    first.choose("1", answers["1"])
    first.choose("2", wrong := next(choice for choice in "abc" if choice != answers["2"]))
    lines = first.score().text().split("\n")
    assert lines[:3] == [
        f"You predicted 1 of {len(answers)} right.",
        f"✔ round 1: {answers['1']}",
        f"✖ round 2: {wrong}; it was {answers['2']}",
    ]
    assert lines[3:] == [f"– round {name}: not predicted" for name in list(answers)[2:]]
