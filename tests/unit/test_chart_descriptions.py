"""Every chart says in words what it shows, from its data; a picture in a notebook carries the words as `alt`."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter
from unit.test_bench_report import RESULTS

import orderkit.analysis
import orderkit.benchmarks
from orderkit.analysis import charts, frames, operations
from orderkit.analysis.comparison import compare
from orderkit.analysis.prediction import predict
from orderkit.analysis.style import Chart
from orderkit.benchmarks import report
from orderkit.core.faults import FaultPlan
from orderkit.core.policies import SPEC

START = datetime(2026, 1, 2, 9, 0, tzinfo=UTC)


def at(seconds: float | None) -> datetime | None:
    return None if seconds is None else START + timedelta(seconds=seconds)


def attempt(step: str, number: int, begin: float, end: float | None, outcome: str) -> dict[str, Any]:
    return {
        "order_id": "tea",
        "step": step,
        "attempt": number,
        "started_at": at(begin),
        "ended_at": at(end),
        "duration_seconds": None if end is None else end - begin,
        "outcome": outcome,
        "run_id": "r",
        "activity_id": step,
        "start_event_id": number,
    }


ATTEMPTS = [
    attempt("receive", 1, 0, 0.1, "completed"),
    attempt("validate", 1, 0.1, 0.2, "completed"),
    attempt("charge", 1, 0.2, 0.3, "failed"),
    attempt("charge", 2, 1.3, 1.4, "failed"),
    attempt("charge", 3, 3.4, None, "lost"),
    attempt("charge", 4, 4.0, 4.1, "completed"),
]


def timeline(*events: tuple[str, float, str]) -> pd.DataFrame:
    tries = [
        {
            **{name: each[name] for name in ("order_id", "attempt", "outcome")},
            "kind": "attempt",
            "name": each["step"],
            "workflow_id": "order-tea",
            "start_seconds": (each["started_at"] - START).total_seconds(),
            "end_seconds": ((each["ended_at"] or each["started_at"]) - START).total_seconds(),
        }
        for each in ATTEMPTS
    ]
    happened = [
        {"order_id": "tea", "kind": "event", "name": name, "detail": text, "start_seconds": when, "end_seconds": when}
        for name, when, text in events
    ]
    return frames.timeline_frame([{**row, "event_id": number} for number, row in enumerate([*tries, *happened])])


def summary(number: int, state: str, seconds: float | None) -> dict[str, Any]:
    start = float(number)
    return {
        "order_id": f"order-{number}",
        "state": state,
        "policy": "spec",
        "started_at": at(start),
        "closed_at": at(None if seconds is None else start + seconds),
        "duration_seconds": seconds,
        "deadline_seconds": 15.0,
        "within_deadline": None if seconds is None else seconds <= 15,
        "attempts": 7,
        "retries": 0,
    }


SUMMARIES = frames.summaries_frame(
    [summary(0, "shipped", 2), summary(1, "shipped", 4), summary(2, "failed", 16), summary(3, "charged", None)]
)
PREDICTION = predict(FaultPlan(), SPEC)
FAILURES = operations.failures_frame(
    {"ts": at(seconds), "step": step, "outcome": "failed", "kind": kind, "attempts": count, "orders": 1}
    for seconds, step, kind, count in ((0, "charge", "FlakyError", 2), (60, "ship", "worker lost", 3))
)
TRIED = frames.attempts_frame(ATTEMPTS)

CASES: dict[str, tuple[Callable[[], Chart], list[str]]] = {
    "order_timeline": (
        partial(charts.order_timeline, timeline(("order_shipped", 4.2, "")), 15),
        [
            "Order tea, step by step: receive and validate completed at the first attempt",
            "charge failed twice, was lost, then completed",
            "the longest wait before a retry was 2.00 s",
            "shipped after 4.2 s; the deadline is 15 s.",
        ],
    ),
    "attempts_by_step": (
        partial(charts.attempts_by_step, TRIED),
        ["6 in all", "receive 1: 1 completed; ", "charge 4: 1 completed, 2 failed, 1 lost."],
    ),
    "step_durations": (
        partial(charts.step_durations, TRIED),
        ["How long 5 attempts took", "receive 0.100 s, validate 0.100 s, charge 0.100 s", "The longest: "],
    ),
    "retry_waits": (
        partial(charts.retry_waits, TRIED),
        [
            "2 waits before a retry. By the order's policy: 1 after attempt 1, median 1.00 s; "
            "1 after attempt 2, median 2.00 s."
        ],
    ),
    "failures_over_time": (
        partial(charts.failures_over_time, FAILURES),
        [
            "5 attempts did not complete, from 09:00:00 to 09:01:00 UTC, most at 09:01:00 (3): "
            "ship worker lost 3, charge FlakyError 2."
        ],
    ),
    "time_to_outcome": (
        partial(charts.time_to_outcome, SUMMARIES, PREDICTION),
        [
            "Time to the outcome of 3 orders: 2 shipped, median 3.0 s; 1 failed, median 16.0 s.",
            "2 ended within the deadline of 15 s; the slowest took 16.0 s. 1 still open. Predicted: 100 % in time.",
        ],
    ),
    "load": (
        partial(charts.load, SUMMARIES),
        [
            "4 orders started within 3.0 s: 2 shipped, 1 failed, 1 open. 0.2 ended a second.",
            "Half took at most 4.0 s, nine of ten 13.6 s.",
        ],
    ),
    "predicted_vs_measured": (
        partial(charts.predicted_vs_measured, compare({"spec": PREDICTION}, SUMMARIES)),
        ["spec, shipped in time: predicted 100 %, measured 50.0 % of 4 orders (95 % interval 15.0 % to 85.0 %)"],
    ),
    "chart": (
        partial(report.chart, RESULTS),
        [
            "bare workflow 80.0 ms (server 55.0, worker 25.0, postgres 0.0); orderkit 96.0 ms",
            "count, 1,000 events: 0.2 ms",
        ],
    ),
}


def every_chart() -> set[str]:
    """The public functions that draw a chart."""
    found = set()
    for package in (orderkit.analysis, orderkit.benchmarks):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            functions = inspect.getmembers(importlib.import_module(module.name), inspect.isfunction)
            found |= {
                name
                for name, function in functions
                if function.__annotations__.get("return") in (Chart, "Chart")
                and function.__module__ != Chart.__module__
            }
    return found


def test_every_chart_has_a_case_here() -> None:
    assert set(charts.__all__) < every_chart() == CASES.keys()


@pytest.mark.parametrize("name", CASES)
def test_a_chart_says_what_it_shows(name: str) -> None:
    draw, words = CASES[name]
    chart = draw()
    for each in words:
        assert each in chart.description
    assert chart.description.endswith(".")


def test_the_picture_in_a_notebook_carries_the_words() -> None:
    chart = CASES["order_timeline"][0]()
    data, metadata = DisplayFormatter().format(chart)
    assert metadata["image/png"]["alt"] == chart.description
    assert data["image/png"].startswith("iVBORw0KGgo")
    assert data["text/plain"] == "<Chart: Order tea, step by step. Its .description says what it shows>"
    assert "text/html" not in data


def test_signs_of_formulas_and_of_other_scripts_stay_text() -> None:
    said = charts.order_timeline(timeline(("order_stopped", 4.2, "$5 < 茶 $x_1$"))).description
    assert "order stopped: $5 < 茶 $x_1$" in said
    assert "still open after 4.2 s." in said


def test_without_data_the_words_say_so() -> None:
    empty = pd.DataFrame({name: pd.Series([], dtype=dtype) for name, dtype in frames.ATTEMPTS.items()})
    assert charts.attempts_by_step(empty).description == "Attempts by step and outcome: no data yet."
