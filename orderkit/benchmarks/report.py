"""All benchmarks of one run in one table and one chart: `make bench`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from statistics import median

from matplotlib.ticker import StrMethodFormatter

from orderkit.analysis.palette import BLUE, GREY, ORANGE
from orderkit.analysis.style import Chart, new_chart, styled
from orderkit.benchmarks.api import CallLatency
from orderkit.benchmarks.console import ConsoleLatency
from orderkit.benchmarks.events import EventGrowth
from orderkit.benchmarks.orders import OrderCost
from orderkit.benchmarks.overload import Overload, Recovery
from orderkit.benchmarks.start import StartTimes
from orderkit.benchmarks.store import StoreRate

_MARKERS = "osD^vPX*<>p"  # one a line: there are more lines than colours
_API_TARGETS = {  # by call and connections
    ("status", 1): "p50 ≤ 1.5 × floor",
    ("status", 16): "p99 ≤ 25",
    ("start", 1): "p50 ≤ floor + 3",
    ("signal", 1): "p50 ≤ floor + 3",
    ("health", 1): "p99 ≤ 5",
}


@dataclass(frozen=True)
class Results:
    """What one run measured."""

    start: StartTimes
    store: list[StoreRate]
    orders: OrderCost
    overload: list[Overload]
    recovery: Recovery
    api: list[CallLatency]
    console: ConsoleLatency
    events: EventGrowth


@dataclass(frozen=True)
class Figure:
    """A line of the table. `floor` is the least that it can cost, measured in the same run; "" where there is none."""

    name: str
    floor: str
    orderkit: str
    ratio: str
    target: str
    command: str


def figures(found: Results) -> list[Figure]:
    """The table of docs/performance.md: what was measured, beside its floor and its target. It judges nothing."""
    return [*_orders(found), *_overload(found), *_api(found), *_start(found), *_store(found), *_events(found)]


def _orders(found: Results) -> list[Figure]:
    kit, bare = found.orders.orderkit, found.orders.bare
    command = "orderkit bench orders"
    crowd = f"{found.orders.at_once} at once"
    return [
        Figure(
            f"orders a second, {crowd}",
            f"{bare.per_second:.1f} (spread {bare.spread:.0%})",
            f"{kit.per_second:.1f} (spread {kit.spread:.0%})",
            f"{kit.per_second / bare.per_second:.2f}",
            "≥ 0.92",
            command,
        ),
        Figure(
            "latency of one order, ms",
            f"{bare.latency_ms:.0f}",
            f"{kit.latency_ms:.0f}",
            f"{kit.latency_ms / bare.latency_ms:.2f}",
            "≤ 1.15",
            command,
        ),
        Figure(
            "CPU an order, ms: server, worker, PostgreSQL",
            ", ".join(f"{bare.cpu_ms[program]:.0f}" for program in bare.cpu_ms),
            ", ".join(f"{kit.cpu_ms[program]:.0f}" for program in kit.cpu_ms),
            f"{kit.cpu_together_ms / bare.cpu_together_ms:.2f}",
            "≤ 1.15",
            command,
        ),
    ]


def _overload(found: Results) -> list[Figure]:
    fewest = min(each.orders for each in found.overload)
    floor = median(each.per_second for each in found.overload if each.orders == fewest)
    rows = [
        Figure(
            f"{each.orders} calm orders at once: shipped, a second, late attempts",
            f"{floor:.1f} a second at {fewest}",
            f"{each.shipped}, {each.per_second:.1f}, {each.late_attempts}",
            f"{each.per_second / floor:.2f}",
            "all, ≥ 0.9, 0",
            f"orderkit bench overload --orders {each.orders}",
        )
        for each in found.overload
    ]
    recovery = found.recovery
    rows.append(
        Figure(
            f"after {recovery.hung} hung orders: a second at best, seconds until then",
            f"{recovery.per_second_before:.1f}",
            f"{recovery.per_second_after:.1f}, {recovery.seconds_to_recover:.1f}",
            f"{recovery.per_second_after / recovery.per_second_before:.2f}",
            "≥ 0.9 within 10 s",
            "orderkit bench recovery",
        )
    )
    return rows


def _api(found: Results) -> list[Figure]:
    rows = []
    for each in found.api:
        floor, ratio = "", ""
        if each.bare_p50 is not None:
            floor = f"{each.bare_p50:.2f} ({each.beside})"
            ratio = f"{each.api_p50 / each.bare_p50:.2f}"
        name = f"API {each.call}, {each.connections} at once, ms: p50, p99"
        target = _API_TARGETS.get((each.call, each.connections), "")
        rows.append(Figure(name, floor, f"{each.api_p50:.2f}, {each.api_p99:.1f}", ratio, target, "orderkit bench api"))
    console = found.console
    rows.append(
        Figure(
            "commit to widget, ms: p50, p95",
            "",
            f"{console.p50_ms:.0f}, {console.p95_ms:.0f}",
            "",
            "p95 < 100",
            "orderkit bench console",
        )
    )
    return rows


def _start(found: Results) -> list[Figure]:
    start, command = found.start, "orderkit bench start"
    named = {
        "orderkit up, s": (start.up, "< 2"),
        "orderkit down, s": (start.down, "< 1"),
        "orderkit status, s": (start.status, "< 0.2"),
        "orderkit --help, s": (start.help, "< 0.15"),
        "import of a workflow, s": (start.import_of_a_workflow, "< 0.15"),
        "first cell with its first order, s": (start.first_cell, ""),
    }
    rows = [Figure(name, "", f"{value:.2f}", "", target, command) for name, (value, target) in named.items()]
    memory = ", ".join(f"{name} {value:.0f}" for name, value in start.memory_mb.items())
    quiet = ", ".join(f"{name} {value:.1f}" for name, value in start.quiet_cpu_seconds_a_minute.items())
    rows.append(
        Figure("memory of a quiet lab, MB", "", f"{start.memory_together_mb:.0f}: {memory}", "", "≤ 300", command)
    )
    rows.append(Figure("a quiet lab's CPU, s a minute", "", quiet, "", "", command))
    return rows


def _store(found: Results) -> list[Figure]:
    rows = []
    for each in found.store:
        if each.notified:
            silent = next(other for other in found.store if other.at_once == each.at_once and not other.notified)
            rows.append(
                Figure(
                    f"orders a second that PostgreSQL takes, {each.at_once} at once",
                    f"{silent.per_second:.0f} (no notification)",
                    f"{each.per_second:.0f}",
                    f"{each.per_second / silent.per_second:.2f}",
                    "",
                    "orderkit bench store",
                )
            )
    return rows


def _events(found: Results) -> list[Figure]:
    most = max(each.events for each in found.events.reads)
    command = f"orderkit bench events --events {most}"
    return [
        Figure(
            f"{each.read}, {most:,} events, ms: p50, p95",
            "",
            f"{each.p50_ms:.1f}, {each.p95_ms:.1f}",
            "",
            "p95 < 1,000",
            command,
        )
        for each in found.events.reads
        if each.events == most
    ]


def describe(found: Results) -> str:
    """The same as `chart`, in words."""
    sides = {"bare workflow": found.orders.bare, "orderkit": found.orders.orderkit}
    orders = [
        f"{name} {side.cpu_together_ms:.1f} ms ({', '.join(f'{each} {ms:.1f}' for each, ms in side.cpu_ms.items())})"
        for name, side in sides.items()
    ]
    reads = [f"{each.read}, {each.events:,} events: {each.p95_ms:.1f} ms" for each in found.events.reads]
    return f"CPU of an order: {'; '.join(orders)}. Reads, p95: {'; '.join(reads)}."


@styled(describe)
def chart(found: Results) -> Chart:
    """Where an order's processor time goes beside the bare workflow's, and what reads take as the table grows."""
    drawn = new_chart()
    left, right = drawn.subplots(1, 2, width_ratios=[2, 4])
    sides = {"bare workflow": found.orders.bare, "orderkit": found.orders.orderkit}
    begun = dict.fromkeys(sides, 0.0)
    for program, colour in zip(found.orders.orderkit.cpu_ms, (GREY, BLUE, ORANGE), strict=False):
        values = [side.cpu_ms[program] for side in sides.values()]
        left.bar(list(sides), values, bottom=list(begun.values()), color=colour, label=program, width=0.6)
        begun = {name: begun[name] + value for name, value in zip(sides, values, strict=True)}
    left.set_title("CPU of an order, ms")
    left.legend()
    lines = {
        name: [each for each in found.events.reads if each.read == name]
        for name in dict.fromkeys(each.read for each in found.events.reads)
    }
    slowest_first = sorted(lines.items(), key=lambda line: -line[1][-1].p95_ms)  # the legend's order is the picture's
    for (name, reads), marker in zip(slowest_first, cycle(_MARKERS), strict=False):
        right.plot([each.events for each in reads], [each.p95_ms for each in reads], marker=marker, label=name)
    right.set_xscale("log")
    right.set_yscale("log")
    right.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    right.yaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    right.axhline(1_000, color=GREY, linestyle="--")
    right.set_title("Reads: p95, ms")
    right.set_xlabel("events in the table")
    right.legend(fontsize=10, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return drawn
