"""How commands answer: a table for people, `--json` for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

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
    drawn = Table(*columns, title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for row in rows:
        drawn.add_row(*(coloured(cell) for cell in row))
    return drawn


def coloured(cell: object) -> str:
    """A cell as rich markup."""
    text = "" if cell is None else f"{cell:.3f}" if isinstance(cell, float) else str(cell).replace("[", r"\[")
    return f"[{STYLES[text]}]{text}[/]" if text in STYLES else text
