"""`orderkit lesson …`: a lesson afresh, solved, or from a round on, and the lab as lessons expect it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orderkit.cli.output import Json, answer, out
from orderkit.cli.startup import start

if TYPE_CHECKING:
    from orderkit.lessons.copies import Lesson
    from orderkit.lessons.jump import Notebook
    from orderkit.stack.target import Target

app = typer.Typer(
    help="Begin a lesson afresh, see it solved, or jump to a round. Your old copy is kept, with its time.",
    no_args_is_help=True,
)
_REOPEN = "Is it open in JupyterLab? File → Reload Notebook from Disk, then Kernel → Restart Kernel."
Number = Annotated[str, typer.Argument(metavar="NN", help="The lesson: 03, 3, or its file's name.")]
Round = Annotated[str, typer.Option("--round", "-r", help="The round: 1, 2 …, or exercise.")]


@app.command("reset")
def reset_command(number: Number, json: Json = False) -> None:
    """Lay a fresh copy of a lesson, and bring the lab to the state in which lessons begin."""
    from orderkit.lessons.copies import find_lesson

    lesson = find_lesson(number)
    _lay(lesson, lesson.fresh(), "a fresh copy", json)


@app.command("solve")
def solve_command(number: Number, json: Json = False) -> None:
    """Lay a copy of a lesson with its exercise solved, and bring the lab to the state in which lessons begin."""
    from orderkit.lessons.copies import find_lesson

    lesson = find_lesson(number)
    _lay(lesson, lesson.solved(), "a copy with the exercise solved", json)


@app.command("goto")
def goto_command(number: Number, round: Round = "1", json: Json = False) -> None:
    """Lay a copy that begins at a round: its first cell brings about what that round needs."""
    from orderkit.lessons.copies import find_lesson
    from orderkit.lessons.jump import title_of

    lesson = find_lesson(number)
    _lay(lesson, lesson.at(round), f"a copy that begins at {title_of(round)}", json)


def _lay(lesson: Lesson, notebook: Notebook, what: str, json: bool) -> None:
    from orderkit.lessons.copies import find_folder, lay
    from orderkit.stack.target import Target, find_place

    stack = start(quiet=True)
    settled = asyncio.run(_settled(Target.of_stack(stack)))
    copy = lay(find_folder(find_place().home, Path.cwd()), lesson, notebook)
    lines = [
        f"{copy.notebook}: {what}",
        *([f"the old one is kept: {copy.kept.name}"] if copy.kept else []),
        *(f"settled: {each}" for each in settled),
        f"The lab runs. {_REOPEN}",
    ]
    data = {"lesson": lesson.number, "notebook": copy.notebook, "kept": copy.kept, "settled": settled}
    answer(json, data, lambda: out.print("\n".join(lines), markup=False, soft_wrap=True))


async def _settled(target: Target) -> list[str]:
    from orderkit.lab.lab import Lab
    from orderkit.lessons.settling import settle

    lab = Lab(target)
    try:
        return await settle(lab)
    finally:
        await lab.close()
