"""Benchmarks in labs of their own: `store`, `events`, `start`, and `all` in one table, one JSON file and one chart."""

from __future__ import annotations

import asyncio
import json as json_module
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import psutil
import typer

from orderkit.cli.output import Json, answer, err, out, table
from orderkit.cli.startup import folder_of_its_own

if TYPE_CHECKING:
    from orderkit.benchmarks.events import EventGrowth
    from orderkit.benchmarks.report import Results
    from orderkit.benchmarks.start import StartTimes
    from orderkit.benchmarks.store import StoreRate
    from orderkit.stack.stack import Stack

Tell = Callable[[str], None]


@contextmanager
def _database() -> Iterator[str]:
    """The URL of a PostgreSQL of its own, with the schema."""
    from orderkit.stack.lifecycle import up
    from orderkit.store.migrations import migrate

    with folder_of_its_own("bench") as home:
        yield up(home, programs=("postgres",), preferred={}, migrate=migrate).database_url


def measure_store(orders: int, tell: Tell) -> list[StoreRate]:
    """The writes of orders, in a database of its own."""
    from orderkit.benchmarks.store import measure
    from orderkit.store.database import open_pool

    async def run(url: str) -> list[StoreRate]:
        async with open_pool(url) as pool:
            return await measure(pool, orders, tell)

    with _database() as url:
        return asyncio.run(run(url))


def measure_events(events: int, tell: Tell) -> EventGrowth:
    """The reads of a table that grows, in a database of its own."""
    from orderkit.benchmarks.events import measure
    from orderkit.store.database import connect, open_pool

    async def run(url: str) -> EventGrowth:
        async with open_pool(url) as pool:
            console = await connect(url)
            try:
                return await measure(pool, console, events, tell=tell)
            finally:
                await console.close()

    with _database() as url:
        return asyncio.run(run(url))


def measure_start(rounds: int, tell: Tell) -> StartTimes:
    """Starts and ends of a lab of its own."""
    from orderkit.benchmarks.start import measure

    with folder_of_its_own("bench") as home:
        return measure(home, rounds, tell=tell)


def store_command(
    orders: Annotated[int, typer.Option(min=1, max=100_000, help="How many orders are written.")] = 300,
    json: Json = False,
) -> None:
    """Only the database writes of orders, with and without notification; in a database of its own."""
    with err.status("Measuring …") as status:
        found = measure_store(orders, lambda said: status.update(f"Measuring: {said} …"))
    rows = [(each.at_once, "yes" if each.notified else "no", f"{each.per_second:.0f}") for each in found]
    answer(
        json,
        [asdict(each) for each in found],
        lambda: out.print(table(("at once", "notification", "orders a second"), rows)),
    )


def events_command(
    events: Annotated[
        int, typer.Option(min=1_000, max=100_000_000, help="The table's final size; it grows tenfold at each stage.")
    ] = 1_000_000,
    json: Json = False,
) -> None:
    """Queries on an events table that grows; in a database of its own (300 MB a million events)."""
    with err.status("Measuring …") as status:
        found = measure_events(events, lambda said: status.update(f"Measuring: {said} …"))
    rows = [(f"{each.events:,}", each.read, f"{each.p50_ms:.1f}", f"{each.p95_ms:.1f}") for each in found.reads]

    def show() -> None:
        out.print(table(("events", "read", "p50 ms", "p95 ms"), rows))
        out.print(f"{found.seconds_a_million:.0f} s a million events, {found.bytes_an_event:.0f} bytes each")

    answer(json, asdict(found), show)


def start_command(
    rounds: Annotated[int, typer.Option(min=2, max=20, help="How often the lab starts and ends.")] = 3,
    json: Json = False,
) -> None:
    """Time to start and stop a new lab, its memory, and its CPU while nothing happens."""
    with err.status("Measuring …") as status:
        found = measure_start(rounds, lambda said: status.update(f"Measuring: {said} …"))
    plain = {name: value for name, value in asdict(found).items() if isinstance(value, float)}
    rows = [(name.replace("_", " "), f"{value:.2f} s") for name, value in plain.items()]
    rows += [(f"memory: {name}", f"{value:.0f} MB") for name, value in found.memory_mb.items()]
    rows += [(f"CPU a minute: {name}", f"{value:.1f} s") for name, value in found.quiet_cpu_seconds_a_minute.items()]
    answer(json, asdict(found), lambda: out.print(table(("", ""), rows)))


def all_command(
    folder: Annotated[Path, typer.Option("--out", help="Where bench.json and bench.png go.")] = Path("build/bench"),
    events: Annotated[
        int, typer.Option(min=1_000, max=100_000_000, help="How far the events table grows.")
    ] = 1_000_000,
    json: Json = False,
) -> None:
    """Run every benchmark in labs of its own, in less than ten minutes: a table, a JSON file and a chart."""
    from orderkit.benchmarks.report import chart, figures
    from orderkit.stack.lifecycle import up

    with err.status("Measuring …") as status:

        def tell(said: str) -> None:
            status.update(f"Measuring: {said} …")

        start = measure_start(3, tell)
        store = measure_store(300, tell)
        grown = measure_events(events, tell)
        with folder_of_its_own("bench") as home:
            tell("starting a lab")
            found = asyncio.run(_measure_lab(up(home, preferred={}), start, store, grown, tell))
    rows = figures(found)
    machine = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "processors": psutil.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    written = {"machine": machine, "figures": [asdict(row) for row in rows], "results": asdict(found)}
    (folder / "bench.json").write_text(json_module.dumps(written, indent=2, default=str) + "\n")
    chart(found).savefig(folder / "bench.png")

    def show() -> None:
        lines = [(r.name, r.floor, r.orderkit, r.ratio, r.target, r.command) for r in rows]
        out.print(table(("figure", "floor", "orderkit", "ratio", "target", "command"), lines))
        out.print(f"written: {folder / 'bench.json'}, {folder / 'bench.png'}")

    answer(json, written, show)


async def _measure_lab(
    stack: Stack, start: StartTimes, store: list[StoreRate], events: EventGrowth, tell: Tell
) -> Results:
    """What needs a whole lab. The quiet measurements come first, the crowds last."""
    import uuid

    from orderkit.benchmarks import api, console, orders, overload
    from orderkit.benchmarks.bare import running_bare_worker
    from orderkit.benchmarks.report import Results
    from orderkit.client import OrderkitClient
    from orderkit.stack.environment import inherited_environment
    from orderkit.store.database import open_pool
    from orderkit.temporal.client import connect_temporal

    client = await connect_temporal(stack.temporal_settings())
    settings = stack.settings()
    async with OrderkitClient(stack.api_url, settings.api_key) as caller, open_pool(stack.database_url, 16) as pool:
        tell("console")
        widgets = await console.measure(caller, stack.database_url)
        async with running_bare_worker(inherited_environment() | stack.environment()) as bare_worker:
            cost = await orders.measure(client, stack_pids(stack, bare_worker), 200, 3, tell)
        name, calls = f"bench-{uuid.uuid4().hex[:8]}", []
        try:
            for at_once in (1, 16):
                tell(f"API, {at_once} at once")
                calls += [each async for each in api.measure(pool, client, settings, 200, at_once, name)]
        finally:
            await api.cancel_all(pool, client, name)
        crowds = []
        for count in (100, 100, 100, 300, 1_000):  # a hundred are over in ten seconds: three times
            ended = partial(_tell_ended, tell, count)
            crowds.append(await overload.measure(caller, pool, count, 600, ended))
        recovered = await overload.measure_recovery(caller, pool, tell=tell)
    return Results(start, store, cost, crowds, recovered, calls, widgets, events)


def _tell_ended(tell: Tell, count: int, done: int) -> None:
    tell(f"{count} at once: {done} have ended")


def stack_pids(stack: Stack, bare_worker: int) -> dict[str, dict[str, list[int]]]:
    """The processes that `orders.measure` looks at, by side and program."""
    server, postgres = (pid for name in ("temporal", "postgres") if (pid := stack.pid(name)))
    workers = [pid for name in stack.workers() if (pid := stack.pid(name))]
    return {
        "orderkit": {"server": [server], "worker": workers, "postgres": [postgres]},
        "bare": {"server": [server], "worker": [bare_worker], "postgres": [postgres]},
    }
