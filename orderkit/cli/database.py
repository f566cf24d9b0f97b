"""`orderkit db …`: the schema."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from orderkit.cli.output import Json, answer, out

app = typer.Typer(help="Bring the schema up to date, or start afresh.", no_args_is_help=True)


@app.command("migrate")
def migrate_command(json: Json = False) -> None:
    """Apply the migrations that are not applied yet."""
    from orderkit.stack.target import find_target
    from orderkit.store.migrations import migrate

    applied = asyncio.run(migrate(find_target().database_url))
    answer(json, {"applied": applied}, lambda: out.print(f"applied: {', '.join(applied) or 'nothing to do'}"))


@app.command("reset")
def reset_command(
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    json: Json = False,
) -> None:
    """Drop every order and event, and make the schema anew. Temporal's histories stay."""
    from orderkit.stack.target import find_target
    from orderkit.store.migrations import reset

    url = find_target().database_url
    if not yes:
        typer.confirm("All orders, payments and events will be gone. Go on?", abort=True)
    asyncio.run(reset(url))
    answer(json, {"reset": True}, lambda: out.print("the database is empty and up to date"))
