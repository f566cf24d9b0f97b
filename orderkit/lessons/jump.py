"""A notebook that begins at a round: one cell brings about what the round needs, the earlier rounds are at its end."""

from __future__ import annotations

from typing import Any

from orderkit.errors import LessonNotFound
from orderkit.lessons.catch_up import code_of, needed
from orderkit.lessons.statements import BEGINNING, EXERCISE, Cell, read_statements, sections

Notebook = dict[str, Any]  # its JSON

_HERE = """**You begin at {title}.** Run the next cell. {what} Then go on below it.

The lesson's introduction and {skipped} are at the end of this notebook."""
_MORE = """It is the lesson's first cell, and what you need of {skipped}. That takes some seconds, at most a minute."""
_FIRST = """It is the lesson's first cell; you need nothing else of {skipped}."""
_SKIPPED = """# What you have skipped

Below are the lesson's introduction and {skipped}, to read or to run."""


def rounds_of(notebook: Notebook) -> list[str]:
    """Where a lesson can be entered: `1`, `2` … and `exercise`."""
    return [part.name for part in sections(notebook["cells"]) if part.name != BEGINNING]


def title_of(round: str) -> str:
    """`round 4`, or `the exercise`."""
    return "the exercise" if round == EXERCISE else f"round {round}"


def begin_at(notebook: Notebook, solved: Notebook, round: str) -> Notebook:
    """The same lesson, to be run from this round on; round 1 is the lesson as it is. Raises LessonNotFound.

    `solved` says what the exercise needs.
    """
    names = rounds_of(notebook)
    if round not in names:
        raise LessonNotFound(f"the lesson has no round {round!r}; it has: {', '.join(names)}")
    if round == names[0]:
        return notebook
    kept = needed(read_statements(sections(solved["cells"])), round)
    title = title_of(round)
    at = names.index(round) + 1
    skipped = "round 1" if at == 2 else f"rounds 1 {'and' if at == 3 else 'to'} {at - 1}"
    what = (_MORE if any(each.section != BEGINNING for each in kept) else _FIRST).format(skipped=skipped)
    parts = sections(notebook["cells"])
    first, *introduction = parts[0].cells
    cells = [
        first,
        _markdown("you-begin-here", _HERE.format(title=title, what=what, skipped=skipped)),
        _code("catch-up", code_of(kept, title)),
        *(cell for part in parts[at:] for cell in part.cells),
        _markdown("what-you-have-skipped", _SKIPPED.format(skipped=skipped)),
        *introduction,
        *(cell for part in parts[1:at] for cell in part.cells),
    ]
    return {**notebook, "cells": cells}


def _markdown(name: str, text: str) -> Cell:
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": text}


def _code(name: str, text: str) -> Cell:
    return {"cell_type": "code", "id": name, "metadata": {}, "source": text, "execution_count": None, "outputs": []}
