"""The chart of one order's life."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from orderkit.analysis import descriptions
from orderkit.analysis.palette import ATTEMPT_COLOURS, BLUE, GREY
from orderkit.analysis.style import (
    DIM,
    HATCHES,
    INK,
    LABEL_PAD,
    PALE,
    Chart,
    deadline_line,
    new_chart,
    no_data,
    show_legend,
    styled,
    swatches,
)
from orderkit.core.events import STATE_EVENTS, event_step
from orderkit.core.orders import ENDS
from orderkit.core.steps import Step

OTHER = "other"  # the row of events that no step wrote
CHILD_STEPS = (Step.PREPARE, Step.DISPATCH)
CLOSING = [str(STATE_EVENTS[state]) for state in ENDS]
BAR_HEIGHT = 0.5
PLOT_PIXELS = 1020  # about the width of the plot: what fits a bar is judged by it
CHARACTER_PIXELS = 9.5  # of small text
THIN_PIXELS = 5
DOTS = (0, (1, 0.6))


@dataclass(frozen=True)
class _Scale:
    """The time axis, to tell what fits where. `last_seconds`: the order's end, or the last thing known of it."""

    end_seconds: float
    last_seconds: float

    def pixels(self, seconds: float) -> float:
        return seconds / self.end_seconds * PLOT_PIXELS

    def seconds(self, pixels: float) -> float:
        return pixels / PLOT_PIXELS * self.end_seconds


@styled(descriptions.order_timeline)
def order_timeline(timeline: pd.DataFrame, deadline_seconds: float | None = None) -> Chart:
    """One order: attempts as bars, waits and the review timer as lines, events as diamonds, the child's steps shaded.

    Takes a frame of frames.TIMELINE with one order in it. A lost or running attempt has no end: its bar reaches to the
    next attempt, or to the last thing known. The deadline is drawn where it is near enough.
    """
    title = "An order's timeline"
    if timeline.empty:
        return no_data(title)
    attempts, events = _prepared(timeline)
    known_seconds = float(timeline["end_seconds"].max())
    last_seconds = _last_seconds(timeline)
    near = deadline_seconds is not None and deadline_seconds <= 1.7 * known_seconds
    scale = _Scale(1.04 * max(known_seconds, 0.05, deadline_seconds or 0.0 if near else 0.0), last_seconds)
    chart = new_chart()
    axes = chart.subplots()
    rows = _rows(attempts, events)
    _draw_child(axes, rows, attempts, scale)
    review = _review_wait(attempts, events)
    for row, step in enumerate(rows):
        of_step = attempts[attempts["name"] == step]
        _draw_attempts(axes, row, of_step, scale)
        drawn = [*of_step["start_seconds"], *of_step["end_seconds"]]
        if review and step == Step.REVIEW:
            axes.hlines(row, *review, color=BLUE, linewidth=4, linestyle=DOTS, zorder=2)
            drawn += review
        _draw_events(axes, row, events[events["row"] == step], drawn, scale)
    lines = [Line2D([], [], color=INK, linewidth=1.5, label="wait before a retry")] if _has_waits(attempts) else []
    if review:
        lines.append(Line2D([], [], color=BLUE, linewidth=4, linestyle=DOTS, label="waiting for the review"))
    lines += [_EVENT] if len(events) else []
    if near and deadline_seconds is not None:
        lines.append(deadline_line(axes, deadline_seconds))
    _finish_axes(axes, rows, attempts, scale)
    axes.set_title(f"Order {timeline['order_id'].iloc[0]}, step by step")
    if deadline_seconds is not None and not near:
        axes.set_title(
            f"deadline {deadline_seconds:g} s, far to the right →", loc="right", fontsize=13, weight="normal"
        )
    show_legend(chart, [*swatches(attempts["outcome"], ATTEMPT_COLOURS), *lines])
    return chart


_EVENT = Line2D([], [], color=BLUE, marker="D", markersize=9, markeredgecolor="white", linestyle="", label="event")


def _prepared(timeline: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Attempts with an end each, and events with their row."""
    attempts = timeline[timeline["kind"] == "attempt"].sort_values(["start_seconds", "event_id"])
    following = attempts.groupby(["name", "workflow_id"])["start_seconds"].shift(-1)
    last = _last_seconds(timeline)
    open_ended = attempts["outcome"].isin(["lost", "running"])
    # A hung attempt notes its end after Temporal gave it up: it must not hide the next one or outlast the order.
    ends = attempts["end_seconds"].mask(open_ended, last).clip(upper=following.fillna(last))
    ends = ends.clip(lower=attempts["start_seconds"])
    attempts = attempts.assign(end_seconds=ends, following_seconds=following)
    events = timeline[timeline["kind"] == "event"]
    return attempts, events.assign(row=[str(event_step(name) or OTHER) for name in events["name"]])


def _last_seconds(timeline: pd.DataFrame) -> float:
    """When the order ended; while it has not, the last thing known."""
    closed = timeline[timeline["name"].isin(CLOSING)]["end_seconds"]
    return float(closed.min() if len(closed) else timeline["end_seconds"].max())


def _rows(attempts: pd.DataFrame, events: pd.DataFrame) -> list[str]:
    """The steps that occur, in the order of the lifecycle; top row first."""
    present = {*attempts["name"], *events["row"]}
    return [str(step) for step in Step if step in present] + ([OTHER] if OTHER in present else [])


def _has_waits(attempts: pd.DataFrame) -> bool:
    return bool((attempts["following_seconds"] > attempts["end_seconds"]).any())


def _draw_child(axes: Axes, rows: list[str], attempts: pd.DataFrame, scale: _Scale) -> None:
    """Shade the rows of the child workflow, and mark where each of its runs begins."""
    child_rows = [rows.index(step) for step in CHILD_STEPS if step in rows]
    if not child_rows:
        return
    axes.axhspan(min(child_rows) - 0.5, max(child_rows) + 0.5, color=PALE, zorder=0)
    axes.text(
        scale.end_seconds * 1.005,
        sum(child_rows) / len(child_rows),
        "child\nworkflow",
        va="center",
        fontsize=12,
        color=DIM,
    )
    runs = (
        attempts[attempts["name"].isin(list(CHILD_STEPS))].groupby("workflow_id")["start_seconds"].min().sort_values()
    )
    for number, seconds in enumerate(runs):
        if number > 0:
            axes.vlines(seconds, min(child_rows) - 0.5, max(child_rows) + 0.5, color=GREY, linewidth=1.5, zorder=1)
            axes.text(
                seconds, min(child_rows) - 0.46, f"run {number + 1}  ", va="top", ha="right", fontsize=11, color=DIM
            )


def _draw_attempts(axes: Axes, row: int, attempts: pd.DataFrame, scale: _Scale) -> None:
    numbered = float("inf")
    for attempt in attempts.iloc[::-1].to_dict("records"):
        start, end, outcome = attempt["start_seconds"], attempt["end_seconds"], attempt["outcome"]
        short = scale.pixels(end - start) < THIN_PIXELS
        width = scale.seconds(THIN_PIXELS) if short else end - start  # a short attempt is seen, too
        if short and start + width > scale.last_seconds:
            start = max(0.0, scale.last_seconds - width)  # and does not seem to outlast the order
        axes.barh(
            row,
            width,
            left=start,
            height=BAR_HEIGHT,
            color=ATTEMPT_COLOURS.get(outcome, GREY),
            hatch=HATCHES.get(outcome),
            edgecolor="none" if short else "white",
            linewidth=0.8,
            zorder=3,
        )
        if attempt["following_seconds"] > end:
            axes.hlines(row, end, attempt["following_seconds"], color=INK, linewidth=1.5, zorder=2)
        # The last number is always there; earlier ones where they don't run into it.
        middle = start + width / 2
        number = str(attempt["attempt"])
        if len(attempts) > 1 and scale.pixels(numbered - middle) > 8 + 9 * len(number):
            axes.text(middle, row - BAR_HEIGHT / 2 - 0.03, number, ha="center", fontsize=11, zorder=5)
            numbered = middle


def _draw_events(axes: Axes, row: int, events: pd.DataFrame, drawn: list[float], scale: _Scale) -> None:
    """Diamonds under the bars; what they are stands beside what is drawn there, on the side that has room."""
    if events.empty:
        return
    height = row + BAR_HEIGHT / 2 + 0.04
    seconds = events["start_seconds"]
    axes.plot(
        seconds,
        [height] * len(events),
        linestyle="",
        color=BLUE,
        marker="D",
        markersize=9,
        markeredgecolor="white",
        zorder=6,
    )
    text = ", then ".join(_label(name, detail) for name, detail in zip(events["name"], events["detail"], strict=True))
    gap = scale.seconds(12)
    wide = len(text) * CHARACTER_PIXELS
    left_edge, right_edge = min([seconds.min(), *drawn]), max([seconds.max(), *drawn])
    if scale.pixels(scale.end_seconds - right_edge) > wide + 12:
        axes.text(right_edge + gap, row, text, va="center", fontsize=12)
    elif scale.pixels(left_edge) > wide + 12:
        axes.text(left_edge - gap, row, text, va="center", ha="right", fontsize=12)
    else:
        box = {"facecolor": "white", "edgecolor": "none", "boxstyle": "round,pad=0.15", "alpha": 0.9}
        before = scale.pixels(seconds.max()) > wide + 12
        place, side = (seconds.max() - gap, "right") if before else (seconds.max() + gap, "left")
        axes.text(place, height, text, va="center", ha=side, fontsize=12, bbox=box, zorder=5)


def _label(name: str, detail: str) -> str:
    text = name.replace("_", " ")
    if detail:
        text += f": {detail}"
    return text if len(text) <= 60 else f"{text[:58]} …"


def _review_wait(attempts: pd.DataFrame, events: pd.DataFrame) -> tuple[float, float] | None:
    """The review's waiting: from the end of its step to the approval, the stop, or the last thing known."""
    opened = attempts[(attempts["name"] == Step.REVIEW) & (attempts["outcome"] == "completed")]["end_seconds"]
    if opened.empty:
        return None
    ended = events[events["name"].isin(["order_approved", "order_stopped"])]["start_seconds"]
    last = max([*attempts["end_seconds"], *events["end_seconds"]])
    return float(opened.max()), float(ended.min() if len(ended) else last)


def _finish_axes(axes: Axes, rows: list[str], attempts: pd.DataFrame, scale: _Scale) -> None:
    counts = attempts["name"].value_counts()
    labels = [f"{step}  ×{counts[step]}" if counts.get(step, 0) > 1 else step for step in rows]
    axes.set_yticks(range(len(rows)), labels)
    axes.set_ylim(len(rows) - 0.45, -0.55)
    axes.set_xlim(-scale.seconds(10), scale.end_seconds)
    axes.set_xlabel("seconds since the order's start")
    axes.set_ylabel("step", labelpad=LABEL_PAD)
    axes.grid(axis="y", visible=False)
