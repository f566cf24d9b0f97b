"""Frames and charts: documented columns, no warnings, nothing on top of anything else, readable whatever the theme.

One file, though long: one story of orders is drawn by every chart.
"""

import functools
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

import orderkit.analysis
from orderkit.analysis import charts, charts_timeline, frames, operations
from orderkit.analysis.comparison import COMPARISON, compare
from orderkit.analysis.palette import ATTEMPT_COLOURS, ORDER_COLOURS
from orderkit.analysis.prediction import predict
from orderkit.analysis.simulation import simulate_order
from orderkit.analysis.style import INK
from orderkit.core.faults import FaultPlan, Scenario, parse_plan
from orderkit.core.orders import OrderId
from orderkit.core.policies import BUDGET, SPEC, Policy
from orderkit.core.steps import Step

START = datetime(2026, 1, 2, 9, 0, tzinfo=UTC)
EVENTS = {
    Step.RECEIVE: "order_received",
    Step.VALIDATE: "order_validated",
    Step.REVIEW: "review_opened",
    Step.CHARGE: "payment_charged",
    Step.PREPARE: "package_prepared",
    Step.DISPATCH: "carrier_dispatched",
    Step.SHIP: "order_shipped",
    Step.STOP: "order_stopped",
    Step.RECALL: "shipment_recalled",
    Step.REFUND: "payment_refunded",
    Step.CLOSE: "order_failed",
}


class Story:
    """A simulated order as the rows that the views would give."""

    def __init__(self, order_id: str, faults: FaultPlan, policy: Policy, start: datetime = START) -> None:
        self.start = start
        self.order_id = order_id
        self.attempts: list[dict[str, Any]] = []
        self.points: list[dict[str, Any]] = []
        order = simulate_order(order_id, faults, policy)
        for number, each in enumerate(order.attempts):
            run = f"-{each.shipping_run}" if each.shipping_run > 1 else ""
            workflow_id = f"shipping-{order_id}{run}" if each.shipping_run else f"order-{order_id}"
            lost = each.outcome == "lost"
            self.attempts.append(
                {
                    "order_id": order_id,
                    "step": each.step.value,
                    "attempt": each.attempt,
                    "started_at": self.at(each.start_seconds),
                    "ended_at": None if lost else self.at(each.end_seconds),
                    "duration_seconds": None if lost else each.end_seconds - each.start_seconds,
                    "outcome": each.outcome,
                    "error": "",
                    "worker": "here:1",
                    "workflow_id": workflow_id,
                    "run_id": workflow_id,
                    "activity_id": each.step.value,
                    "start_event_id": number,
                }
            )
            if each.step is Step.CHARGE and each.attempt == 1:
                self.event("order_approved", each.start_seconds)
            name = EVENTS[each.step]
            if each.outcome == "completed" and name not in [point["name"] for point in self.points]:
                self.event(name, each.end_seconds, "the 15 s deadline came near" if name == "order_stopped" else "")
        self.summary = {
            "order_id": order_id,
            "state": order.outcome,
            "policy": policy.name,
            "scenario": faults.scenario.value,
            "amount": Decimal("50.90"),
            "stop_reason": None,
            "started_at": start,
            "closed_at": self.at(order.seconds),
            "duration_seconds": order.seconds,
            "deadline_seconds": 15.0,
            "within_deadline": order.seconds <= 15,
            "attempts": len(self.attempts),
            "retries": sum(each["attempt"] > 1 for each in self.attempts),
        }

    def at(self, seconds: float) -> datetime:
        return self.start + timedelta(seconds=seconds)

    def event(self, name: str, seconds: float, detail: str = "") -> None:
        self.points.append(self._point("event", name, None, None, detail, None, seconds, seconds))

    def timeline(self) -> pd.DataFrame:
        rows = list(self.points)
        for each in self.attempts:
            begin = (each["started_at"] - self.start).total_seconds()
            end = ((each["ended_at"] or each["started_at"]) - self.start).total_seconds()
            key = (each["step"], each["attempt"], each["outcome"], "", each["workflow_id"])
            rows.append(self._point("attempt", *key, begin, end))
        rows.sort(key=lambda row: row["start_seconds"])
        return frames.timeline_frame([{**row, "event_id": number} for number, row in enumerate(rows)])

    def _point(
        self, kind: str, name: str, attempt: Any, outcome: Any, detail: str, workflow_id: Any, a: float, b: float
    ) -> Any:
        times = {"started_at": self.at(a), "ended_at": self.at(b), "start_seconds": a, "end_seconds": b}
        texts = {"kind": kind, "name": name, "outcome": outcome, "detail": detail, "workflow_id": workflow_id}
        return {"order_id": self.order_id, "attempt": attempt, **texts, **times}


def stories(policy: Policy, scenario: Scenario = Scenario.ORIGINAL, count: int = 40) -> list[Story]:
    plan = FaultPlan(scenario, seed=3)
    return [Story(f"{policy.name}-{n}", plan, policy, START + timedelta(seconds=n / 3)) for n in range(count)]


@pytest.fixture(scope="module")
def attempts() -> pd.DataFrame:
    return frames.attempts_frame([row for story in stories(SPEC) for row in story.attempts])


@pytest.fixture(scope="module")
def summaries() -> pd.DataFrame:
    return frames.summaries_frame([story.summary for policy in (SPEC, BUDGET) for story in stories(policy)])


HARD = {
    "calm": Story("first", FaultPlan(), SPEC),
    "script": Story("demo", parse_plan("charge=error,hang,ok; prepare=error; dispatch=error,error,error,ok"), SPEC),
    "storm": Story("storm", FaultPlan(Scenario.STORM, seed=1), BUDGET),
    "killed": Story("killed", parse_plan("charge=crash_after; ship=crash"), BUDGET),
    "late": Story("late", parse_plan(f"ship={','.join(['hang'] * 50)}"), BUDGET),
    "stopped": Story("stopped", parse_plan("charge=error,hang,ok; dispatch=hang,hang,hang"), SPEC),
}
HARD["waiting"] = Story("waiting", FaultPlan(), SPEC)
HARD["waiting"].attempts = HARD["waiting"].attempts[:3]
HARD["waiting"].points = HARD["waiting"].points[:3]
HARD["waiting"].event("address_changed", 6.5)
HARD["stopped"].event("address_changed", 4.2, "a neighbour takes it, who lives in the house with the very long name")
HARD["stopped"].event("something_new", 5.0)


@functools.cache
def drawn(name: str) -> Figure:
    return charts.order_timeline(HARD[name].timeline(), 15)


@pytest.mark.parametrize("name", HARD)
def test_no_text_of_a_timeline_covers_another(name: str) -> None:
    chart = drawn(name)
    check_complete(chart)
    texts = visible_texts(chart)
    boxes = [text.get_window_extent().shrunk(0.98, 0.75) for text in texts]
    clashes = [
        (texts[i].get_text(), texts[j].get_text())
        for i, box in enumerate(boxes)
        for j in range(i)
        if box.overlaps(boxes[j])
    ]
    assert not clashes
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= 1280 and box.y1 <= 720 for box in boxes)
    left = chart.axes[0].get_window_extent().x0
    assert all(text.get_window_extent().x0 >= left for text in chart.axes[0].texts)


def visible_texts(chart: Figure) -> list[Text]:
    found = chart.findobj(lambda artist: isinstance(artist, Text) and artist.get_visible() and bool(artist.get_text()))
    ticks = {
        label
        for axes in chart.axes
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim()))
        for label, place in zip(axis.get_ticklabels(which="both"), axis.get_ticklocs(minor=False), strict=False)
        if not min(limits) <= place <= max(limits)
    }
    return [text for text in found if isinstance(text, Text) and text not in ticks]


def check_complete(chart: Figure) -> None:
    """Title, axis labels and legend; a projector's size; light ground and dark letters."""
    assert [round(side) for side in chart.get_size_inches() * chart.dpi] == [1280, 720]
    assert to_hex(chart.get_facecolor()) == "#ffffff"
    assert any(axes.get_title(loc="left") for axes in chart.axes)
    assert all(axes.get_ylabel() for axes in chart.axes)
    assert chart.axes[-1].get_xlabel() or chart.axes[-1].get_xticklabels()
    assert [text.get_text() for text in chart.legends[0].get_texts()]
    assert not any(text.get_text().startswith("_") for text in chart.legends[0].get_texts())
    assert {to_hex(label.get_color()) for axes in chart.axes for label in axes.get_xticklabels()} == {INK}


@pytest.mark.parametrize("draw", [charts.step_durations, charts.attempts_by_step, charts.retry_waits])
def test_charts_of_attempts_are_complete(draw: Callable[[pd.DataFrame], Figure], attempts: pd.DataFrame) -> None:
    check_complete(draw(attempts))


def test_the_chart_of_failures_is_complete() -> None:
    check_complete(charts.failures_over_time(failures()))


def failures() -> pd.DataFrame:
    """Eight kinds, one more than the chart has colours for, over two minutes."""
    kinds = [
        *[(step, "FlakyError") for step in ("charge", "prepare", "dispatch", "receive", "validate")],
        ("charge", "no answer in time"),
        ("dispatch", "no answer in time"),
        ("charge", "worker lost"),
    ]
    return operations.failures_frame(
        {
            "ts": START + timedelta(seconds=10 * bucket),
            "step": step,
            "outcome": "failed",
            "kind": kind,
            "attempts": 1 + (bucket * (number + 3)) % (9 - number),
            "orders": 1,
            "last_error": f"{kind}: something",
        }
        for bucket in range(12)
        for number, (step, kind) in enumerate(kinds)
    )


def test_charts_of_orders_are_complete(summaries: pd.DataFrame) -> None:
    predictions = {policy.name: predict(FaultPlan(Scenario.ORIGINAL), policy) for policy in (SPEC, BUDGET)}
    check_complete(charts.time_to_outcome(summaries, predictions["spec"]))
    check_complete(charts.load(summaries))
    check_complete(charts.predicted_vs_measured(compare(predictions, summaries)))


@pytest.mark.parametrize(
    ("draw", "columns"),
    [
        (charts.order_timeline, frames.TIMELINE),
        (charts.step_durations, frames.ATTEMPTS),
        (charts.attempts_by_step, frames.ATTEMPTS),
        (charts.retry_waits, frames.ATTEMPTS),
        (charts.time_to_outcome, frames.SUMMARIES),
        (charts.load, frames.SUMMARIES),
        (charts.failures_over_time, operations.FAILURES),
        (charts.predicted_vs_measured, COMPARISON),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_without_data_a_chart_says_so(draw: Callable[[pd.DataFrame], Figure], columns: dict[str, str]) -> None:
    empty = pd.DataFrame({name: pd.Series([], dtype=dtype) for name, dtype in columns.items()})
    assert "no data yet" in [text.get_text() for text in draw(empty).axes[0].texts]


def test_orders_that_have_not_ended_are_charted(summaries: pd.DataFrame) -> None:
    unknown = {"closed_at": None, "duration_seconds": None, "within_deadline": None}
    still_open = frames.summaries_frame([{**HARD["calm"].summary, "state": "charged", **unknown}] * 2)
    assert charts.load(still_open).axes
    both = pd.concat([summaries.head(3), still_open])
    assert "3 orders, 2 still open" in charts.time_to_outcome(both).axes[0].get_title(loc="left")
    assert charts.load(both).axes


def test_the_notebooks_dark_style_changes_nothing(attempts: pd.DataFrame) -> None:
    dark: dict[Any, Any] = {
        "figure.facecolor": "black",
        "text.color": "white",
        "xtick.color": "white",
        "font.size": 30.0,
    }
    with matplotlib.rc_context(dark):
        chart = charts.attempts_by_step(attempts)
        image = chart._repr_png_()
    check_complete(chart)
    assert image.startswith(b"\x89PNG")


def test_an_outcome_has_the_same_colour_everywhere() -> None:
    assert ORDER_COLOURS["shipped"] == ATTEMPT_COLOURS["completed"]
    assert all(ORDER_COLOURS[name] == ATTEMPT_COLOURS[name] for name in ("failed", "cancelled"))
    assert len(set(ATTEMPT_COLOURS.values())) == len(ATTEMPT_COLOURS)
    assert len(set(ORDER_COLOURS.values())) == len(ORDER_COLOURS)


def test_pyplots_global_state_is_left_alone() -> None:
    folder = Path(orderkit.analysis.__file__).parent
    assert not [path for path in folder.glob("*.py") if "import matplotlib.pyplot" in path.read_text()]


def bar_ends(chart: Figure) -> list[float]:
    return [round(bar.get_x() + bar.get_width(), 2) for bar in chart.axes[0].patches if isinstance(bar, Rectangle)]


def test_a_lost_attempt_reaches_to_the_next_one() -> None:
    timeline = HARD["killed"].timeline()
    second = timeline[(timeline["name"] == "charge") & (timeline["attempt"] == 2)]["start_seconds"].iloc[0]
    assert round(second, 2) in bar_ends(drawn("killed"))


def test_a_hung_attempt_does_not_hide_the_next_one() -> None:
    story = Story("o", parse_plan("charge=hang,error"), BUDGET)
    hung = next(each for each in story.attempts if each["outcome"] == "timed_out")
    hung["ended_at"] += timedelta(seconds=0.2)  # it notes its end after Temporal started the next attempt
    after = next(each for each in story.attempts if each["step"] == "charge" and each["attempt"] == 2)
    begin = (after["started_at"] - START).total_seconds()
    assert round(begin, 2) in bar_ends(charts.order_timeline(story.timeline(), 15))
    waits = frames.retry_waits(frames.attempts_frame(story.attempts))
    assert waits["wait_seconds"].round(3).tolist() == [0, 0.05]


@pytest.mark.parametrize("name", ["calm", "late", "stopped"])
def test_no_bar_outlasts_its_order(name: str) -> None:
    story = HARD[name]
    end = max(point["end_seconds"] for point in story.points if point["name"] in charts_timeline.CLOSING)
    timeline = story.timeline()
    late = timeline["outcome"] == "timed_out"
    timeline.loc[late, "end_seconds"] += 5.0  # hung attempts whose end is noted long after the order's
    assert max(bar_ends(charts.order_timeline(timeline, 15))) <= round(end, 2)


def test_the_deadline_is_drawn_where_it_is_near() -> None:
    def legend(name: str) -> list[str]:
        return [text.get_text() for text in drawn(name).legends[0].get_texts()]

    assert "deadline 15 s" in legend("stopped")
    assert "deadline 15 s" not in legend("calm")


def test_waits_are_the_policys_and_none_follows_a_lost_attempt() -> None:
    rows = [*Story("a", parse_plan("charge=error,hang,ok"), SPEC).attempts, *HARD["killed"].attempts]
    waits = frames.retry_waits(frames.attempts_frame(rows))
    assert waits["wait_seconds"].round(6).tolist() == [1, 2]
    assert waits["outcome"].tolist() == ["failed", "timed_out"]


def dtypes(frame: pd.DataFrame) -> dict[str, str]:
    return {str(name): str(dtype) for name, dtype in frame.dtypes.items()}


MAKERS: list[tuple[Callable[[Iterable[Any]], pd.DataFrame], dict[str, str], list[dict[Any, Any]]]] = [
    (frames.attempts_frame, frames.ATTEMPTS, HARD["killed"].attempts),
    (frames.timeline_frame, frames.TIMELINE, HARD["calm"].timeline().to_dict("records")),
    (
        frames.summaries_frame,
        frames.SUMMARIES,
        [HARD["calm"].summary, {**HARD["calm"].summary, "within_deadline": None}],
    ),
    (
        frames.ledger_frame,
        frames.LEDGER,
        [{"order_id": "o", "ts": START, "who": "carrier", "kind": "x", "key": "k", "amount": None}],
    ),
    (
        frames.events_frame,
        frames.EVENTS,
        [{"id": 1, "order_id": "o", "type": "t", "payload_json": {"a": 1}, "ts": START}],
    ),
]


@pytest.mark.parametrize(("make", "columns", "rows"), MAKERS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_frame_has_the_columns_it_says(make: Callable[[Any], pd.DataFrame], columns: Any, rows: Any) -> None:
    wanted = dtypes(pd.DataFrame({name: pd.Series([], dtype=dtype) for name, dtype in columns.items()}))
    assert dtypes(make(rows)) == wanted
    assert dtypes(make([])) == wanted


def test_what_is_missing_is_empty_and_never_a_word() -> None:
    frame = frames.summaries_frame([{**HARD["calm"].summary, "stop_reason": None, "closed_at": None}])
    assert frame["stop_reason"].tolist() == [""]
    assert frame["closed_at"].isna().all()
    assert frame["amount"].tolist() == [50.9]


async def test_all_events_are_read_page_by_page() -> None:
    class Pages:
        async def events(self, order_id: str, after_id: int, most: int) -> list[dict[str, Any]]:
            last = 2 * frames.PAGE + 7
            ids = range(after_id + 1, min(after_id + most, last) + 1)
            return [{"id": n, "order_id": order_id, "type": "t", "payload_json": {}, "ts": START} for n in ids]

    frame = await frames.read_events(Pages(), OrderId("o"))  # type: ignore[arg-type]
    assert frame["id"].tolist() == list(range(1, 2 * frames.PAGE + 8))
