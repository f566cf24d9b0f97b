"""How commands answer: a table for people, `--json` for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

_ENDLESS = 10_000  # columns


def _console(stderr: bool = False) -> Console:
    """As wide as the terminal. In a pipe or a file nothing is cut or wrapped, so that `grep` finds whole lines."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream is not None and stream.isatty() else _ENDLESS
    return Console(stderr=stderr, highlight=False, emoji=False, width=width)


out = _console()
err = _console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]

STYLES = {
    "shipped": "green",
    "completed": "green",
    "running": "green",
    "ok": "green",
    "cancelled": "yellow",
    "timed_out": "magenta",
    "lost": "bright_red",
    "failed": "red",
    "rejected": "yellow",
}


def answer(as_json: bool, data: object, show: Callable[[], None]) -> None:
    """Write `data` as JSON, or let `show` draw it."""
    if as_json:
        typer.echo(json.dumps(data, default=str, indent=2))
    else:
        show()


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> Table:
    """A plain table; words that are outcomes get their colour."""
    drawn = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(column, overflow="fold")  # a narrow terminal breaks an id in two, and cuts none
    for row in rows:
        drawn.add_row(*(coloured(cell) for cell in row))
    return drawn


def coloured(cell: object) -> str:
    """A cell as rich markup."""
    text = "" if cell is None else f"{cell:.3f}" if isinstance(cell, float) else str(cell).replace("[", r"\[")
    return f"[{STYLES[text]}]{text}[/]" if text in STYLES else text
