"""A learner's copies of the lessons: made afresh, solved, or to begin at a round. The old one is always kept."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from orderkit.errors import LabError, LessonNotFound
from orderkit.lessons.jump import Notebook, begin_at
from orderkit.stack.jupyter import (
    folder_shown,
    language_of,
    languages,
    learners_folder,
    notebook_text,
    shipped_notebooks,
    without_outputs,
)

_SOLUTIONS = "solutions"


@dataclass(frozen=True)
class Lesson:
    """A lesson as it is shipped."""

    file: Path

    @property
    def number(self) -> str:
        """`03`."""
        return self.file.stem[:2]

    def fresh(self) -> Notebook:
        """The lesson without outputs."""
        return without_outputs(self.file)

    def solved(self) -> Notebook:
        """The same with its exercise solved."""
        return without_outputs(self.file.parent / _SOLUTIONS / self.file.name)

    def at(self, round: str) -> Notebook:
        """The lesson from this round on. Raises LessonNotFound, which names the rounds."""
        try:
            return begin_at(self.fresh(), self.solved(), round)
        except LessonNotFound as error:
            raise LessonNotFound(str(error).replace("the lesson", f"lesson {self.number}", 1)) from None

    def in_language_of(self, folder: Path, notebook: Notebook) -> Notebook:
        """The notebook with the prose of the folder's language, as far as that has it: `notebooks-de` has German."""
        translated = self.file.parent / language_of(folder) / self.file.name
        if not translated.exists():
            return notebook
        texts = {cell["id"]: cell["source"] for cell in without_outputs(translated)["cells"]}
        cells = [
            cell | {"source": texts.get(cell["id"], cell["source"])} if cell["cell_type"] == "markdown" else cell
            for cell in notebook["cells"]
        ]
        return {**notebook, "cells": cells}


@dataclass(frozen=True)
class Copy:
    """A learner's new copy, and where the old one is kept, if there was one."""

    notebook: Path
    kept: Path | None


def lessons() -> list[Lesson]:
    """Every lesson, in its order."""
    return [Lesson(file) for file in sorted(shipped_notebooks().glob("[0-9][0-9]_*.ipynb"))]


def find_lesson(name: str) -> Lesson:
    """The lesson that is meant by `3`, `03`, or its file's name. Raises LessonNotFound, which names the lessons.

    Raises LabError where nothing but a learner's own notebooks is left, as in a container.
    """
    if not (shipped_notebooks() / _SOLUTIONS).is_dir():
        raise LabError("the lessons of this installation are your own copies, so none can be laid afresh")
    number = name.zfill(2) if re.fullmatch(r"[0-9]{1,2}", name) else ""
    for lesson in lessons():
        if lesson.number == number or name in (lesson.file.stem, lesson.file.name):
            return lesson
    there = ", ".join(lesson.file.stem.replace("_", " ") for lesson in lessons())
    raise LessonNotFound(f"there is no lesson {name!r}; there are: {there}")


def find_folder(home: Path, here: Path) -> Path:
    """The folder of the learner's copies: what JupyterLab shows, else where lessons lie: here, or beside the lab."""
    shipped = {lesson.file.name for lesson in lessons()}
    if (shown := folder_shown(home)) and shown.is_dir():
        return shown
    if not here.samefile(shipped_notebooks()) and any((here / name).exists() for name in shipped):
        return here
    beside = [learners_folder(folder, language) for language in languages() for folder in (here, home.parent)]
    return next((folder for folder in beside if folder.is_dir()), beside[here.is_relative_to(home.parent)])


def lay(folder: Path, lesson: Lesson, notebook: Notebook) -> Copy:
    """Put this notebook in the place of the learner's copy, in the folder's language. Raises LabError.

    The old copy is kept under another name.
    """
    place = folder / lesson.file.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = place.with_name(f".{place.stem}.{uuid4().hex}")
        draft.write_text(notebook_text(lesson.in_language_of(folder, notebook)), encoding="utf-8")
        kept = _keep(place)
        draft.replace(place)
    except OSError as error:
        raise LabError(f"{place} cannot be written: {error.strerror}; nothing of yours is lost") from error
    return Copy(place, kept)


def _keep(place: Path) -> Path | None:
    """Rename the copy; its new name has the time. None if there is none."""
    now = datetime.now().astimezone().strftime("%Y-%m-%d %H.%M.%S")
    number = 1
    while place.exists():
        kept = place.with_name(f"{place.stem} ({now}{f' no. {number}' if number > 1 else ''}){place.suffix}")
        with suppress(FileExistsError):
            kept.touch(exist_ok=False)  # the name is ours now, even if somebody else does the same at this moment
            try:
                place.replace(kept)
            except FileNotFoundError:  # somebody else was quicker
                kept.unlink()
                continue
            return kept
        number += 1
    return None
