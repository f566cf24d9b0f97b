"""How long each lesson and each of its rounds takes in a class. docs/how-to/teaching.md says how it was computed."""

from __future__ import annotations

from collections.abc import Mapping

from orderkit.course.questions import ANSWERS

CLASS_MINUTES: Mapping[str, int] = {
    "00": 20, "01": 25, "02": 20, "03": 20, "04": 20, "05": 20, "06": 20, "07": 30, "08": 30, "09": 35, "10": 30,
    "11": 25, "12": 25,
}  # fmt: skip
_EXERCISE_MINUTES = 5
_LONG_EXERCISES = {"09": 10, "10": 10}


def rounds(lesson: str) -> tuple[str, ...]:
    """The names of a lesson's rounds, in their order; none of a lesson that does not exist."""
    return tuple(ANSWERS.get(lesson, ()))


def round_minutes(lesson: str, round: str) -> float:
    """From this round's question to the next one; the lesson's last round includes the exercise."""
    names = rounds(lesson)
    exercise = _LONG_EXERCISES.get(lesson, _EXERCISE_MINUTES)
    each = (CLASS_MINUTES[lesson] - exercise) / len(names)
    return each + exercise if round == names[-1] else each
