"""How far the learner of this process is: lessons tell it, and whoever has subscribed hears it.

Nothing is stored or sent here. `lessons.predictions` and `lessons.verdicts` tell; a class's board listens once the
learner has joined.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

logger = logging.getLogger(__name__)


class Verdict(StrEnum):
    """How it goes."""

    SOLVED = "solved"  # the lesson's check has found everything
    MISSED = "missed"  # it has not
    WAITING = "waiting"  # a cell has been running for long
    EXPIRED = "expired"  # a wait has given up
    GOING = "going"  # on again, after waiting or expired


@dataclass(frozen=True)
class Progress:
    """One thing that a learner did, and where."""

    lesson: str  # "00" … "12"; empty before the first question
    round: str  # "1", or an exhibit's name in the museum
    prediction: str = ""  # a, b or c
    verdict: Verdict | None = None


Listener = Callable[[Progress], None]
_listeners: list[Listener] = []
_here = Progress("", "")


def subscribe(listener: Listener) -> Callable[[], None]:
    """Call `listener` with each progress of this process from now on; returns what ends that."""
    _listeners.append(listener)
    return lambda: _listeners.remove(listener) if listener in _listeners else None


def here() -> Progress:
    """Which round was begun last."""
    return _here


def begin(lesson: str, round: str) -> None:
    """The learner reads this round's question."""
    global _here
    _here = Progress(lesson, round)
    _tell(_here)


def predict(lesson: str, round: str, choice: str) -> None:
    """The learner predicts; also in a round that is over."""
    _tell(Progress(lesson, round, prediction=choice))


def judge(verdict: Verdict) -> None:
    """How it goes in the round that was begun last."""
    _tell(replace(_here, verdict=verdict))


def _tell(progress: Progress) -> None:
    for listener in tuple(_listeners):
        try:
            listener(progress)
        except Exception:
            logger.exception("a listener failed")  # the learner's cell has worked
