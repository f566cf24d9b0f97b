"""The table of `make bench`: each figure beside its floor; and when a crowd has recovered."""

from __future__ import annotations

import math

from orderkit.benchmarks.api import CallLatency
from orderkit.benchmarks.console import ConsoleLatency
from orderkit.benchmarks.events import EventGrowth, ReadTime
from orderkit.benchmarks.orders import OrderCost, Side
from orderkit.benchmarks.overload import Overload, Recovery, recovery
from orderkit.benchmarks.report import Results, chart, figures
from orderkit.benchmarks.start import StartTimes
from orderkit.benchmarks.store import StoreRate

RESULTS = Results(
    start=StartTimes(1.9, 0.3, 0.2, 0.1, 0.2, 1.5, {"temporal": 150.0, "api": 75.0}, {"temporal": 0.9}),
    store=[StoreRate(1, True, 50.0), StoreRate(1, False, 100.0)],
    orders=OrderCost(
        200,
        3,
        Side(15.0, 0.1, 110.0, {"server": 60.0, "worker": 30.0, "postgres": 6.0}),
        Side(20.0, 0.2, 100.0, {"server": 55.0, "worker": 25.0, "postgres": 0.0}),
    ),
    # The middle one of the three crowds of a hundred is what the others are compared with.
    overload=[
        *(Overload(100, 100, 0, 600, seconds) for seconds in (5.0, 10.0, 20.0)),
        Overload(1_000, 1_000, 0, 6_000, 125.0),
    ],
    recovery=Recovery(300, 600, 600, 10.0, 9.5, 2.0),
    api=[CallLatency("health", 1, 0.5, 1.0, "", None, None), CallLatency("status", 1, 1.2, 2.0, "one read", 1.0, 1.5)],
    console=ConsoleLatency(20, 400, 20.0, 60.0, 90.0),
    events=EventGrowth([ReadTime(1_000, "count", 0.1, 0.2), ReadTime(10_000, "count", 0.3, 0.4)], 16.0, 320.0),
)


def test_each_figure_stands_beside_its_floor() -> None:
    rows = {row.name: row for row in figures(RESULTS)}
    throughput = rows["orders a second, 200 at once"]
    assert (throughput.floor, throughput.orderkit) == ("20.0 (spread 20%)", "15.0 (spread 10%)")
    assert (throughput.ratio, throughput.target) == ("0.75", "≥ 0.92")
    assert rows["CPU an order, ms: server, worker, PostgreSQL"].ratio == "1.20"
    assert rows["1000 calm orders at once: shipped, a second, late attempts"].ratio == "0.80"
    assert rows["orders a second that PostgreSQL takes, 1 at once"].ratio == "0.50"
    assert rows["API status, 1 at once, ms: p50, p99"].ratio == "1.20"
    assert [name for name in rows if "events" in name] == ["count, 10,000 events, ms: p50, p95"]


def test_the_chart_shows_both_sides_and_every_read() -> None:
    left, right = chart(RESULTS).axes
    assert [label.get_text() for label in left.get_xticklabels()] == ["bare workflow", "orderkit"]
    assert next(line.get_label() for line in right.lines) == "count"


def test_a_crowd_has_recovered_where_five_seconds_reach_the_rate() -> None:
    slow = [100.0 + 2 * number for number in range(5)]  # one in two seconds, until 108
    fast = [110.0 + 0.5 * number for number in range(20)]  # two a second
    best, seconds = recovery([*slow, *fast], over=100.0, rate=2.0)
    assert best == 2.0
    assert seconds == 10.0
    assert recovery(slow, over=100.0, rate=2.0) == (0.6, math.inf)
    assert recovery(fast, over=110.0, rate=2.0) == (2.0, 0.0)
