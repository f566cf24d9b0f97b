"""What the instructor's page shows, as data."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from orderkit.classroom.board import Board, Learner
from orderkit.course.questions import ANSWERS, CHOICES


def draw(board: Board, present: Mapping[str, int], now: float) -> dict[str, Any]:
    """The class as it is now; `present`: how many notebooks of each seat are connected."""
    learners = sorted(board.learners.values(), key=lambda each: _alphabet(each.name))
    return {
        "choices": CHOICES,
        "lessons": [[lesson, list(answers)] for lesson, answers in ANSWERS.items()],
        "learners": len(learners),
        "connected": sum(1 for each in learners if present.get(each.seat)),
        "places": _places(learners, present),
        "stuck": [
            {"name": each.name, "place": each.place, "why": each.stuck, "minutes": int(_stuck_seconds(each, now) / 60)}
            for each in sorted(learners, key=lambda each: -_stuck_seconds(each, now))
            if each.stuck
        ],
        "votes": {place: board.votes(place) for place in _voted(board)},
        "times": board.times(),
        "line": board.line.text,
    }


def _places(learners: list[Learner], present: Mapping[str, int]) -> list[dict[str, Any]]:
    """Those where somebody is, in the course's order; the first one is empty: joined, but in no round yet."""
    order = ["", *_all_places()]
    there: dict[str, list[dict[str, Any]]] = {}
    for each in learners:
        state = "solved" if each.solved else "stuck" if each.stuck else ""
        voted = each.choices.get(each.place) is not None
        name = {"name": each.name, "state": state, "voted": voted, "away": not present.get(each.seat)}
        there.setdefault(each.place, []).append(name)
    return [{"place": place, "names": there[place]} for place in order if place in there]


def _voted(board: Board) -> list[str]:
    """Places with votes, or where somebody could vote now."""
    some = {place for each in board.learners.values() for place in (*each.choices, each.place)}
    return [place for place in _all_places() if place in some]


def _all_places() -> list[str]:
    return [f"{lesson} {name}" for lesson, answers in ANSWERS.items() for name in answers]


def _alphabet(name: str) -> str:
    """Émile stands beside Emil."""
    return unicodedata.normalize("NFKD", name).casefold()


def _stuck_seconds(learner: Learner, now: float) -> float:
    return now - (learner.troubled if learner.trouble else learner.since)
