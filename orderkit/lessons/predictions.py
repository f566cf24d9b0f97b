"""What a learner has predicted: remembered in the lab's folder, one file a lesson. The only place that stores it.

In a notebook: `predictions = Predictions(lab.home, "00")`, `predictions.ask(1)` under a question, `predictions.score()`
at the end. `course.progress` hears of each question and each choice.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orderkit.core.choices import check_choice
from orderkit.course import progress
from orderkit.course.questions import ANSWERS, CHOICES

if TYPE_CHECKING:
    from orderkit.lessons.prediction_buttons import Buttons, Score

_FOLDER = "predictions"


@dataclass(frozen=True)
class Prediction:
    """One choice; `right` is the verdict."""

    lesson: str  # "00" … "12"
    round: str  # "1", or an exhibit's name in the museum
    choice: str  # a, b or c
    right: bool


def read_predictions(home: Path) -> list[Prediction]:
    """Every prediction that is remembered in this lab's folder, by lesson, in the order of the lesson's rounds."""
    return [prediction for lesson in sorted(ANSWERS) for prediction in Predictions(home, lesson).made]


class Predictions:
    """One lesson's predictions. A choice can be changed; the last one counts."""

    def __init__(self, home: Path, lesson: str) -> None:
        check_choice("lesson", lesson, list(ANSWERS))
        self.lesson = lesson
        self._answers = ANSWERS[lesson]
        self._file = home / _FOLDER / f"{lesson}.json"
        self._choices = dict(self._remembered())

    @property
    def made(self) -> list[Prediction]:
        """In the order of the rounds."""
        return [self._judged(name, self._choices[name]) for name in self._answers if name in self._choices]

    @property
    def missing(self) -> list[str]:
        """The rounds without a prediction."""
        return [name for name in self._answers if name not in self._choices]

    def choice(self, round: str) -> str | None:
        """What was predicted in this round."""
        return self._choices.get(round)

    def choose(self, round: str, choice: str) -> Prediction:
        """Remember a choice."""
        check_choice("round", round, list(self._answers))
        check_choice("choice", choice, CHOICES)
        self._choices[round] = choice
        with suppress(OSError):  # a folder that nobody may write to: remembered until the kernel ends
            self._file.parent.mkdir(parents=True, exist_ok=True)
            draft = self._file.with_suffix(f".{os.getpid()}")
            draft.write_text(json.dumps(self._choices, indent=1) + "\n")
            draft.replace(self._file)
        progress.predict(self.lesson, round, choice)
        return self._judged(round, choice)

    def ask(self, round: int | str) -> Buttons:
        """A row of buttons for this round's choices; nothing where no widgets are shown."""
        from orderkit.lessons.prediction_buttons import Buttons

        check_choice("round", str(round), list(self._answers))
        progress.begin(self.lesson, str(round))
        return Buttons(self, str(round))

    def score(self) -> Score:
        """How many predictions were right; nothing where no widgets are shown."""
        from orderkit.lessons.prediction_buttons import Score

        return Score(self)

    def right(self, round: str) -> str:
        """The right choice."""
        return self._answers[round]

    def _judged(self, round: str, choice: str) -> Prediction:
        return Prediction(self.lesson, round, choice, choice == self._answers[round])

    def _remembered(self) -> Iterator[tuple[str, str]]:
        """What the file has, as far as this version of the lesson asks for it."""
        with suppress(OSError, ValueError, AttributeError):
            for name, choice in json.loads(self._file.read_text()).items():
                if name in self._answers and choice in CHOICES:
                    yield name, choice
