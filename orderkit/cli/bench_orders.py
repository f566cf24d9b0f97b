"""`orderkit bench orders` and `growth`: orders beside bare workflows of the same shape, on the lab that runs here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from orderkit.cli.bench_report import stack_pids
from orderkit.cli.output import Json, answer, err, out, table
from orderkit.cli.startup import interrupted_once

if TYPE_CHECKING:
    from rich.table import Table
    from temporalio.client import Client

    from orderkit.benchmarks.growth import CrowdSize, Growth, SignalCount
    from orderkit.benchmarks.orders import OrderCost, Pids


def orders_command(
    orders: Annotated[int, typer.Option(min=1, max=3_000, help="How many at once.")] = 200,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="How often each side is measured.")] = 3,
    json: Json = False,
) -> None:
    """Throughput, latency and CPU of orders beside bare workflows of the same shape; on the lab that runs here."""
    with interrupted_once():
        found = asyncio.run(_measure_orders(orders, rounds))
    answer(json, asdict(found), lambda: out.print(_orders_table(found)))


def growth_command(
    orders: Annotated[
        list[int] | None, typer.Option(min=1, max=3_000, help="How many at once; repeat for more. (100, 300, 1000)")
    ] = None,
    signals: Annotated[
        list[int] | None, typer.Option(min=0, max=1_000, help="Signals an order; repeat for more. (1, 10, 100)")
    ] = None,
    json: Json = False,
) -> None:
    """Growing crowds beside bare workflows, with memory, and growing numbers of signals; on the lab that runs here."""
    with interrupted_once():
        found = asyncio.run(_measure_growth(orders or [100, 300, 1_000], signals or [1, 10, 100]))

    def show() -> None:
        out.print(_crowds_table(found.crowds))
        out.print(_signals_table(found.signals))

    answer(json, asdict(found), show)


@asynccontextmanager
async def _beside_bare() -> AsyncIterator[tuple[Client, Mapping[str, Pids]]]:
    """A client of the lab's server, and the processes of both sides."""
    from orderkit.benchmarks.bare import running_bare_worker
    from orderkit.errors import LabError
    from orderkit.stack.environment import inherited_environment
    from orderkit.stack.target import find_target
    from orderkit.temporal.client import connect_temporal

    target = find_target()
    stack = target.stack
    if stack is None:
        raise LabError("this benchmark measures the lab's processes, so a lab must run here; start it: orderkit up")
    client = await connect_temporal(target.temporal)
    async with running_bare_worker(inherited_environment() | stack.environment()) as bare_worker:
        yield client, stack_pids(stack, bare_worker)


async def _measure_orders(orders: int, rounds: int) -> OrderCost:
    from orderkit.benchmarks.orders import measure

    with err.status("Measuring …") as status:
        async with _beside_bare() as (client, pids):
            return await measure(client, pids, orders, rounds, lambda said: status.update(f"Measuring, {said} …"))


async def _measure_growth(orders: list[int], signals: list[int]) -> Growth:
    from orderkit.benchmarks.growth import measure_growth

    with err.status("Measuring …") as status:
        async with _beside_bare() as (client, pids):
            return await measure_growth(
                client, pids, orders, signals, lambda said: status.update(f"Measuring, {said} …")
            )


def _orders_table(found: OrderCost) -> Table:
    kit, bare = found.orderkit, found.bare
    rows: list[tuple[object, ...]] = [
        (
            "orders a second",
            f"{bare.per_second:.1f}",
            f"{kit.per_second:.1f}",
            f"{kit.per_second / bare.per_second:.2f}",
        ),
        ("spread of it", f"{bare.spread:.0%}", f"{kit.spread:.0%}", ""),
        (
            "latency of one, ms",
            f"{bare.latency_ms:.0f}",
            f"{kit.latency_ms:.0f}",
            f"{kit.latency_ms / bare.latency_ms:.2f}",
        ),
    ]
    rows += [
        (f"CPU an order, ms: {program}", f"{bare.cpu_ms[program]:.1f}", f"{spent:.1f}", "")
        for program, spent in kit.cpu_ms.items()
    ]
    together = kit.cpu_together_ms / bare.cpu_together_ms
    rows.append(("CPU an order, ms", f"{bare.cpu_together_ms:.1f}", f"{kit.cpu_together_ms:.1f}", f"{together:.2f}"))
    return table((f"{found.at_once} at once, {found.rounds} rounds", "bare workflow", "orderkit", "ratio"), rows)


def _crowds_table(found: list[CrowdSize]) -> Table:
    programs = list(found[0].memory_mb)
    columns = ("orders at once", "bare a second", "orderkit a second", "ratio", "CPU ratio")
    rows = []
    for each in found:
        kit, bare = each.cost.orderkit, each.cost.bare
        ratios = (f"{kit.per_second / bare.per_second:.2f}", f"{kit.cpu_together_ms / bare.cpu_together_ms:.2f}")
        memory = (f"{each.memory_mb[program]:.0f}" for program in programs)
        rows.append((each.cost.at_once, f"{bare.per_second:.1f}", f"{kit.per_second:.1f}", *ratios, *memory))
    return table((*columns, *(f"MB: {program}" for program in programs)), rows)


def _signals_table(found: list[SignalCount]) -> Table:
    programs = list(found[0].cpu_ms)
    rows = [
        (
            each.signals,
            f"{each.seconds:.1f}",
            *(f"{each.cpu_ms[program]:.0f}" for program in programs),
            each.history_events,
            f"{each.history_kib:.0f}",
        )
        for each in found
    ]
    cpu = (f"CPU an order, ms: {program}" for program in programs)
    columns = ("signals an order", f"seconds of {found[0].orders} orders", *cpu, "events of its history", "KiB")
    return table(columns, rows)
