"""Parts of sentences that say what a chart shows; needs no pandas, so that the console can say it, too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

_HAPPENED = {
    "completed": "completed",
    "failed": "failed",
    "timed_out": "timed out",
    "cancelled": "was cancelled",
    "lost": "was lost",
    "running": "still runs",
}


def told_steps(courses: dict[str, str]) -> list[str]:
    """From each step's course: `receive and validate completed at the first attempt`, `charge failed, then …`."""
    parts = []
    for smooth, steps in groupby(courses, lambda step: courses[step] == "completed"):
        if smooth:
            parts.append(f"{listed(steps)} completed at the first attempt")
        else:
            parts += [f"{step} {courses[step]}" for step in steps]
    return parts


def course(outcomes: Iterable[str]) -> str:
    """`failed twice, timed out, then completed`."""
    parts = []
    for outcome, each in groupby(outcomes):
        number = len(list(each))
        parts.append(_HAPPENED.get(outcome, outcome) + (f" {times(number)}" if number > 1 else ""))
    return f"{', '.join(parts[:-1])}, then {parts[-1]}" if len(parts) > 1 else parts[0]


def percent(share: float) -> str:
    """As many decimals as tell it from 100 %, no more."""
    if share == 1:
        return "100 %"
    return f"{100 * share:.1f} %" if share < 0.99 else f"{100 * share:.2f} %"


def listed(words: Iterable[str]) -> str:
    """`a, b and c`."""
    each: Sequence[str] = list(words)
    return f"{', '.join(each[:-1])} and {each[-1]}" if len(each) > 1 else "".join(each)


def times(number: int) -> str:
    """`once`, `twice`, `3 times`."""
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def many(number: int, noun: str) -> str:
    """`1 order`, `2 orders`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
