"""Jump to every round of every lesson and run it, as a latecomer does: `make rounds`.

    python tests/support/rounds.py [NN …]     only lessons that begin with NN
    python tests/support/rounds.py --minutes 10

Each round gets a fresh kernel, with the copy that `orderkit lesson goto` lays: its first cell, then the round's cells,
in one lab. What they show must be what is stored in the repository's solved notebook. Exit status 1 after any failure.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from orderkit.lab import Lab
from orderkit.lessons.copies import Lesson, lessons
from orderkit.lessons.jump import begin_at, rounds_of
from orderkit.lessons.settling import settle
from orderkit.lessons.statements import sections
from orderkit.stack.jupyter import notebook_text, shipped_notebooks

sys.path.insert(0, str(shipped_notebooks()))

from build import CELL_SECONDS, IGNORED, compared, lasting
from workbench import Workbench, open_workbench

OF_ALL_ORDERS = "lab.audit()"  # it says how many orders this kernel has started


@dataclass(frozen=True)
class Run:
    """How it went."""

    catch_up_seconds: float
    round_seconds: float
    failures: tuple[str, ...]


def run_round(lesson: Lesson, round: str, workbench: Workbench, folder: Path) -> Run:
    """Run the cell that brings about what the round needs, and the round's cells."""
    asyncio.run(_settled(workbench))
    solved = lesson.solved()
    parts = sections(begin_at(solved, solved, round)["cells"])
    text = notebook_text({**solved, "cells": [cell for part in parts[:2] for cell in part.cells]})
    notebook = nbformat.reads(text, as_version=4)
    stored = nbformat.read(shipped_notebooks() / "solutions" / lesson.file.name, as_version=4)
    outputs = {cell.id: cell for cell in stored.cells}
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        store_widget_state=False,
        coalesce_streams=True,
    )
    environment = {**os.environ, **workbench.variables}
    began = caught_up = time.monotonic()
    failures = []
    variables = {name: value for name, value in environment.items() if value is not None}
    with client.setup_kernel(env=variables, stderr=subprocess.DEVNULL):  # the kernel's own talk
        for at, cell in enumerate(notebook.cells):
            if at == len(parts[0].cells):
                caught_up = time.monotonic()
            if cell.cell_type != "code":
                continue
            try:
                client.execute_cell(cell, at)
            except CellExecutionError as error:
                failures.append(str(error))
                break
            failures += _differences(cell, outputs.get(cell.id), workbench)
    return Run(caught_up - began, time.monotonic() - caught_up, tuple(failures))


def _differences(cell: Any, stored: Any, workbench: Workbench) -> list[str]:
    if stored is None or IGNORED in cell.metadata.get("tags", []) or OF_ALL_ORDERS in cell.source:
        return []
    shown, expected = compared(lasting(cell.outputs, workbench)), compared(stored.outputs)
    return [] if shown == expected else [f"{cell.source}\n  shows   {shown}\n  stored  {expected}"]


async def _settled(workbench: Workbench) -> None:
    lab = await Lab.start(workbench.stack.home)
    try:
        await settle(lab)
    finally:
        await lab.close()


def main() -> int:
    parser = argparse.ArgumentParser(description="Jump to every round of every lesson, and run it.")
    parser.add_argument("only", nargs="*", metavar="NN", help="only lessons that begin with this")
    parser.add_argument("--minutes", type=float, default=60, help="begin no round after this time (60)")
    chosen = parser.parse_args()
    wanted = [each for each in lessons() if not chosen.only or each.number.startswith(tuple(chosen.only))]
    todo = [(lesson, round) for lesson in wanted for round in rounds_of(lesson.fresh())]
    began, failed, done = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory(prefix="orderkit-rounds-") as folder, open_workbench() as workbench:
        for lesson, round in todo:
            if time.monotonic() - began > 60 * chosen.minutes:
                print(f"time is up; {len(todo) - done} rounds were not tried")
                break
            run = run_round(lesson, round, workbench, Path(folder))
            done += 1
            failed += bool(run.failures)
            times = f"first cell {run.catch_up_seconds:5.1f} s, round {run.round_seconds:5.1f} s"
            print(f"{lesson.number} {round:8}  {times}  {'FAILED' if run.failures else 'ok'}", flush=True)
            for failure in run.failures:
                print(failure, flush=True)
    minutes = (time.monotonic() - began) / 60
    print(f"{done - failed} of {len(todo)} rounds as they are stored, in {minutes:.1f} min")
    return int(failed > 0 or done < len(todo))


if __name__ == "__main__":
    sys.exit(main())
