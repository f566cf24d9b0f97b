"""`orderkit failures`: error tracking."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from orderkit.cli.output import Json, answer, err, out, table


def failures_command(
    minutes: Annotated[float, typer.Option(min=0, help="How far to look back.")] = 60,
    json: Json = False,
) -> None:
    """Show which attempts failed, timed out or were lost lately: by step and kind, with the newest error of each."""
    from orderkit.stack.target import find_target
    from orderkit.store.database import open_pool
    from orderkit.store.failures import failures

    target = find_target()
    since = datetime.now(UTC) - timedelta(minutes=minutes)

    async def look() -> list[dict[str, object]]:
        async with open_pool(target.database_url, 1) as pool:
            # One interval: the whole time.
            return [dict(row) for row in await failures(pool, since, 100 * 365 * 86_400)]

    rows = sorted(asyncio.run(look()), key=lambda row: -int(str(row["attempts"])))
    columns = ("step", "kind", "outcome", "attempts", "orders", "last_error")
    lines = [tuple(row[name] for name in columns) for row in rows]
    answer(json, [{name: row[name] for name in columns} for row in rows], lambda: out.print(table(columns, lines)))
    if not rows and not json:
        err.print(f"no attempt failed in the last {minutes:g} minutes")


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("failures")(failures_command)
