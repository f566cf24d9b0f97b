"""`orderkit bench …`: what things cost here, as ratios."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from orderkit.cli.output import Json, answer, err, out, table

if TYPE_CHECKING:
    from orderkit.benchmarks.api import CallLatency
    from orderkit.benchmarks.console import ConsoleLatency

app = typer.Typer(help="Measure what things cost, as ratios within one run.", no_args_is_help=True)


@app.command("api")
def api_command(
    calls: Annotated[int, typer.Option(min=16, help="How often each call is made, at 1 and at 16 connections.")] = 400,
    json: Json = False,
) -> None:
    """Latency of start, status, signal and health, beside a barer way to the same; on the stack that runs here."""
    found = asyncio.run(_measure(calls))
    columns = ("call", "at once", "API p50 ms", "p99", "beside", "p50 ms", "p99", "added p50 ms", "times")
    answer(json, [asdict(each) for each in found], lambda: out.print(table(columns, map(_row, found))))


@app.command("console")
def console_command(
    orders: Annotated[int, typer.Option(min=1, help="How many orders run at once.")] = 20, json: Json = False
) -> None:
    """Time from an event in the database to the console's new value; on the stack that runs here."""
    found = asyncio.run(_measure_console(orders))
    answer(json, asdict(found), lambda: out.print(str(found)))


async def _measure_console(orders: int) -> ConsoleLatency:
    from orderkit.benchmarks.console import measure
    from orderkit.client import OrderkitClient
    from orderkit.stack.target import find_target

    target = find_target()
    with err.status("Measuring …"):
        async with OrderkitClient(target.api_url, target.settings.api_key) as api:
            return await measure(api, target.database_url, orders)


async def _measure(calls: int) -> list[CallLatency]:
    from orderkit.benchmarks.api import cancel_all, measure
    from orderkit.stack.target import find_target
    from orderkit.store.database import open_pool
    from orderkit.temporal.client import connect_temporal

    target = find_target()
    client = await connect_temporal(target.temporal)
    name = f"bench-{uuid.uuid4().hex[:8]}"
    found = []
    with err.status("Measuring …"):
        async with open_pool(target.database_url, 16) as pool:
            try:
                for at_once in (1, 16):
                    found += [each async for each in measure(pool, client, target.settings, calls, at_once, name)]
            finally:
                await cancel_all(pool, client, name)
    return found


def _row(each: CallLatency) -> tuple[object, ...]:
    api = (each.call, each.connections, f"{each.api_p50:.2f}", f"{each.api_p99:.1f}")
    if each.bare_p50 is None or each.bare_p99 is None:
        return (*api, "", "", "", "", "")
    added, ratio = each.api_p50 - each.bare_p50, each.api_p50 / each.bare_p50
    return (*api, each.beside, f"{each.bare_p50:.2f}", f"{each.bare_p99:.1f}", f"{added:.2f}", f"{ratio:.2f}")
