"""`orderkit bench …`: what things cost on this machine, as ratios."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from orderkit.cli.bench_orders import growth_command, orders_command
from orderkit.cli.bench_report import all_command, events_command, start_command, store_command
from orderkit.cli.classroom import bench_command as class_command
from orderkit.cli.output import Json, answer, err, out, table
from orderkit.cli.startup import interrupted_once
from orderkit.core.builds import UNVERSIONED

if TYPE_CHECKING:
    from orderkit.benchmarks.api import CallLatency
    from orderkit.benchmarks.console import ConsoleLatency
    from orderkit.benchmarks.overload import Overload, Recovery
    from orderkit.benchmarks.rollout import Rollout

app = typer.Typer(help="Measure what things cost, as ratios within one run.", no_args_is_help=True)


@app.command("api")
def api_command(
    calls: Annotated[int, typer.Option(min=16, help="How often each call is made, at 1 and at 16 connections.")] = 400,
    json: Json = False,
) -> None:
    """Latency of start, status, signal and health, each beside a baseline; on the stack that runs here."""
    found = asyncio.run(_measure(calls))
    columns = ("call", "at once", "API p50 ms", "p99", "beside", "p50 ms", "p99", "added p50 ms", "times")
    answer(json, [asdict(each) for each in found], lambda: out.print(table(columns, map(_row, found))))


@app.command("console")
def console_command(
    orders: Annotated[int, typer.Option(min=1, help="How many orders run at once.")] = 20, json: Json = False
) -> None:
    """Time from an event in the database until the console shows it; on the stack that runs here."""
    found = asyncio.run(_measure_console(orders))
    answer(json, asdict(found), lambda: out.print(str(found)))


@app.command("overload")
def overload_command(
    orders: Annotated[
        list[int] | None, typer.Option(min=1, max=3_000, help="How many at once; repeat for more.")
    ] = None,
    deadline: Annotated[float, typer.Option(min=10, max=3_600, help="Each order's deadline, in seconds.")] = 600,
    json: Json = False,
) -> None:
    """Calm orders of both policies, more at once than the machine can handle; on the stack that runs here."""
    found = asyncio.run(_measure_overload(orders or [100, 300], deadline))
    columns = ("orders at once", "shipped", "shipped a second", "seconds", "attempts", "late")
    rows = [
        (e.orders, e.shipped, f"{e.per_second:.1f}", f"{e.seconds:.0f}", e.attempts, e.late_attempts) for e in found
    ]
    answer(json, [asdict(each) for each in found], lambda: out.print(table(columns, rows)))


@app.command("recovery")
def recovery_command(
    hung: Annotated[int, typer.Option(min=1, max=3_000, help="How many hang at once.")] = 300, json: Json = False
) -> None:
    """Time until calm orders ship as fast as before, after many orders hung; on the stack that runs here."""
    found = asyncio.run(_measure_recovery(hung))
    columns = ("hung", "shipped", "of", "a second before", "after, at best", "seconds to recover")
    row = (found.hung, found.shipped, found.orders, f"{found.per_second_before:.1f}", f"{found.per_second_after:.1f}")
    answer(json, asdict(found), lambda: out.print(table(columns, [(*row, f"{found.seconds_to_recover:.1f}")])))


app.command("orders")(orders_command)
app.command("growth")(growth_command)
app.command("store")(store_command)
app.command("events")(events_command)
app.command("start")(start_command)
app.command("class")(class_command)
app.command("all")(all_command)


async def _measure_recovery(hung: int) -> Recovery:
    from orderkit.benchmarks.overload import measure_recovery
    from orderkit.client import OrderkitClient
    from orderkit.stack.target import find_target
    from orderkit.store.database import open_pool

    target = find_target()
    with err.status("Measuring …") as status:
        async with (
            OrderkitClient(target.api_url, target.settings.api_key) as api,
            open_pool(target.database_url, 2) as pool,
        ):
            return await measure_recovery(api, pool, hung, tell=lambda said: status.update(f"Measuring: {said} …"))


@app.command("rollout")
def rollout_command(
    orders: Annotated[int, typer.Option(min=4, max=3_000, help="How many are in flight.")] = 200,
    within: Annotated[float, typer.Option(min=10, help="Give up after this many seconds.")] = 300,
    json: Json = False,
) -> None:
    """Blue/green under load: ramp new orders to 50 %, promote, roll back, then let all of them end; on the lab here.

    Starts two workers of its own. Exit status 1 unless every order ships, on the build on which it began, and the audit
    is clean.
    """
    with interrupted_once():
        found = asyncio.run(_roll_out(orders, within))
    rows = [
        (title, f"{found.seconds[title]:.2f}", ", ".join(f"{count} on {build}" for build, count in sorted(on.items())))
        for title, on in found.began.items()
    ]

    def show() -> None:
        out.print(table(("change", "seconds", "orders that began then"), rows))
        ends = ", ".join(f"{count} {outcome}" for outcome, count in found.outcomes.items())
        out.print(f"{ends}; {len(found.strayed)} left their build; {len(found.findings)} findings of the auditor")

    answer(json, {**asdict(found), "passed": found.passed}, show)
    if not found.passed:
        raise typer.Exit(1)


async def _roll_out(orders: int, within_seconds: float) -> Rollout:
    from orderkit.benchmarks.rollout import roll_out
    from orderkit.errors import LabError
    from orderkit.stack.builds import start_build
    from orderkit.stack.environment import inherited_environment
    from orderkit.stack.readiness import QUEUES
    from orderkit.stack.target import find_target
    from orderkit.store.database import open_pool
    from orderkit.temporal.client import connect_temporal
    from orderkit.temporal.deployments import Deployment

    target = find_target()
    if target.stack is None:
        raise LabError(
            "this benchmark starts two workers beside the lab's, so a lab must run here; start it: orderkit up"
        )
    deployment = Deployment(await connect_temporal(target.temporal))
    if any(build.share for build in await deployment.status() if build.build_id != UNVERSIONED):
        raise LabError(
            "a build of this lab gets orders already; send them to workers without one: orderkit deploy rollback"
        )
    name = f"rollout-{uuid.uuid4().hex[:6]}"
    builds = (f"{name}-blue", f"{name}-green")
    workers = []
    with err.status("Starting two workers …"):
        try:
            for build in builds:
                environment = inherited_environment() | target.stack.environment_of_extra(f"extra-{build}")
                workers.append(await start_build(deployment, build, QUEUES, environment))
            err.print(f"{orders} orders on {' and '.join(builds)}")
            async with open_pool(target.database_url, 10) as pool:
                return await roll_out(deployment.client, pool, deployment, builds, orders, name, within_seconds)
        finally:
            for worker in workers:
                await worker.stop()


async def _measure_overload(orders: list[int], deadline: float) -> list[Overload]:
    from orderkit.benchmarks.overload import measure
    from orderkit.client import OrderkitClient
    from orderkit.stack.target import find_target
    from orderkit.store.database import open_pool

    target = find_target()
    with err.status("Measuring …") as status:
        async with (
            OrderkitClient(target.api_url, target.settings.api_key) as api,
            open_pool(target.database_url, 2) as pool,
        ):
            return [
                await measure(api, pool, count, deadline, lambda done: status.update(f"{done} orders have ended …"))
                for count in orders
            ]


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
