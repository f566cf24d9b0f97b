"""What each chart shows, in a sentence made from its data: for people who do not see it.

Each function takes what the chart's function takes, and is handed to `styled` beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from orderkit.analysis import frames
from orderkit.analysis.palette import ATTEMPT_COLOURS, ORDER_COLOURS
from orderkit.analysis.prediction import Prediction
from orderkit.analysis.words import course, listed, many, percent, times, told_steps
from orderkit.core.events import STATE_EVENTS
from orderkit.core.orders import ENDS
from orderkit.core.policies import UNTIL_DONE
from orderkit.core.steps import Step

_MOST_WAITS = 4  # that are told one by one
_CLOSING = {str(STATE_EVENTS[state]): state.value for state in ENDS}


def order_timeline(timeline: pd.DataFrame, deadline_seconds: float | None = None) -> str:
    """`charge failed twice, then completed; receive … at the first attempt; shipped after 4.2 s`."""
    attempts = timeline[timeline["kind"] == "attempt"].sort_values(["start_seconds", "event_id"])
    events = timeline[timeline["kind"] == "event"]
    courses = {str(step): course(of) for step in Step if len(of := attempts[attempts["name"] == step]["outcome"])}
    parts = told_steps(courses)
    runs = attempts[attempts["name"].isin([Step.PREPARE, Step.DISPATCH])]["workflow_id"].nunique()
    if runs > 1:
        parts.append(f"the child workflow ran {times(runs)}")
    waits = attempts.groupby(["name", "workflow_id"])["start_seconds"].shift(-1) - attempts["end_seconds"]
    waits = waits[~attempts["outcome"].isin(["lost", "running"])]
    if waits.max() >= 0.005:
        parts.append(f"the longest wait before a retry was {waits.max():.2f} s")
    told = events[(events["detail"] != "") & ~events["name"].isin(_CLOSING)]
    parts += [f"{name.replace('_', ' ')}: {detail}" for name, detail in zip(told["name"], told["detail"], strict=True)]
    parts.append(_end(timeline, events))
    if deadline_seconds is not None:
        parts.append(f"the deadline is {deadline_seconds:g} s")
    return f"Order {timeline['order_id'].iloc[0]}, step by step: {'; '.join(parts)}."


def _end(timeline: pd.DataFrame, events: pd.DataFrame) -> str:
    ends = events[events["name"].isin(_CLOSING)].sort_values("end_seconds")
    if ends.empty:
        return f"still open after {timeline['end_seconds'].max():.1f} s"
    return f"{_CLOSING[ends['name'].iloc[0]]} after {ends['end_seconds'].iloc[0]:.1f} s"


def attempts_by_step(attempts: pd.DataFrame) -> str:
    """`charge 3: 1 failed, 2 completed`."""
    parts = []
    for step in Step:
        counts = attempts[attempts["step"] == step]["outcome"].value_counts()
        if len(counts):
            parts.append(f"{step} {counts.sum()}: {_counted(counts.to_dict(), ATTEMPT_COLOURS)}")
    return f"Attempts by step and outcome, {len(attempts)} in all. {'; '.join(parts)}."


def step_durations(attempts: pd.DataFrame) -> str:
    """The median of completed attempts by step, and the longest attempt."""
    ended = attempts[attempts["duration_seconds"].notna()]
    medians = ended[ended["outcome"] == "completed"].groupby("step")["duration_seconds"].median()
    parts = [f"{step} {medians[step]:.3f} s" for step in Step if step in medians]
    longest = ended.sort_values("duration_seconds", kind="stable").iloc[-1]
    return (
        f"How long {many(len(ended), 'attempt')} took. Median of completed ones: {', '.join(parts) or 'none'}. "
        f"The longest: {longest['step']}, {longest['duration_seconds']:.2f} s, {longest['outcome'].replace('_', ' ')}."
    )


def retry_waits(attempts: pd.DataFrame) -> str:
    """The median wait after each attempt's number: of the order's policy, and of steps tried until done."""
    waits = frames.retry_waits(attempts)
    until_done = waits["step"].isin(list(UNTIL_DONE.attempt_timeout_seconds))
    parts = []
    for kind, chosen in (("By the order's policy", waits[~until_done]), ("Until done", waits[until_done])):
        later = chosen["attempt"] > _MOST_WAITS
        of = [
            f"{len(seconds)} after attempt {number}, median {seconds.median():.2f} s"
            for number, seconds in chosen[~later].groupby("attempt")["wait_seconds"]
        ]
        if later.any():
            of.append(f"{later.sum()} after later ones, median {chosen[later]['wait_seconds'].median():.2f} s")
        parts += [f" {kind}: {'; '.join(of)}."] if of else []
    return f"{many(len(waits), 'wait')} before a retry.{''.join(parts)}"


def failures_over_time(failures: pd.DataFrame) -> str:
    """How many of each step and kind, from when to when, and when most."""
    named = failures.assign(what=failures["step"] + " " + failures["kind"])
    counts = named.groupby("what")["attempts"].sum().sort_values(ascending=False, kind="stable")
    by_time = failures.groupby("ts")["attempts"].sum()
    first, last, peak = (f"{ts:%H:%M:%S}" for ts in (by_time.index.min(), by_time.index.max(), by_time.idxmax()))
    when = f"at {first} UTC" if first == last else f"from {first} to {last} UTC, most at {peak} ({by_time.max()})"
    parts = ", ".join(f"{what} {count}" for what, count in counts.items())
    return f"{many(int(counts.sum()), 'attempt')} did not complete, {when}: {parts}."


def time_to_outcome(summaries: pd.DataFrame, prediction: Prediction | None = None) -> str:
    """Each end with its number and median time; how many met the deadline."""
    ended = summaries[summaries["duration_seconds"].notna()]
    seconds = ended.groupby("state")["duration_seconds"]
    parts = [
        f"{len(of)} {state}, median {of.median():.1f} s"
        for state in ORDER_COLOURS
        if state in seconds.groups and len(of := seconds.get_group(state))
    ]
    in_time = int((ended["duration_seconds"] <= ended["deadline_seconds"]).sum())
    deadlines = listed(f"{deadline:g} s" for deadline in sorted(ended["deadline_seconds"].unique()))
    still_open = len(summaries) - len(ended)
    more = f" {still_open} still open." if still_open else ""
    if prediction is not None:
        more += f" Predicted: {percent(prediction.decided_within_deadline)} in time."
    return (
        f"Time to the outcome of {many(len(ended), 'order')}: {'; '.join(parts)}. "
        f"{in_time} ended within the deadline of {deadlines}; the slowest took "
        f"{ended['duration_seconds'].max():.1f} s.{more}"
    )


def load(summaries: pd.DataFrame) -> str:
    """Orders by end, the throughput, and latency by its percentiles."""
    first = summaries["started_at"].min()
    ended = summaries[summaries["closed_at"].notna()]
    state = summaries["state"].where(summaries["closed_at"].notna(), "open")
    starting = (summaries["started_at"].max() - first).total_seconds()
    text = f"{many(len(summaries), 'order')} started within {starting:.1f} s: "
    text += f"{_counted(state.value_counts().to_dict(), ORDER_COLOURS)}."
    if len(ended):
        span = max((ended["closed_at"].max() - first).total_seconds(), 0.001)
        p50, p90 = ended["duration_seconds"].quantile([0.5, 0.9])
        text += f" {len(ended) / span:.1f} ended a second. Half took at most {p50:.1f} s, nine of ten {p90:.1f} s."
    return text


def predicted_vs_measured(comparison: pd.DataFrame) -> str:
    """Each policy's shares side by side."""
    parts = []
    for row in comparison.to_dict("records"):
        predicted, measured, low, high = (
            percent(row[name]) for name in ("predicted", "measured", "measured_low", "measured_high")
        )
        parts.append(
            f"{row['policy']}, {row['measure']}: predicted {predicted}, measured {measured} of {row['orders']} orders "
            f"(95 % interval {low} to {high})"
        )
    return f"Predicted and measured. {'; '.join(parts)}."


def _counted(counts: Mapping[Any, int], order: Iterable[str]) -> str:
    """`2 completed, 1 failed`, in the legend's order."""
    return ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in order if counts.get(name))
