"""Charts of attempts: how long, how often, how far apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from orderkit.analysis import descriptions, frames
from orderkit.analysis.palette import ATTEMPT_COLOURS
from orderkit.analysis.style import (
    HATCHES,
    INK,
    LABEL_PAD,
    Chart,
    count_axis,
    dots,
    new_chart,
    no_data,
    show_legend,
    styled,
    swatches,
)
from orderkit.core.policies import UNTIL_DONE
from orderkit.core.steps import Step

SPREAD = 0.34  # of dots to each side


@styled(descriptions.step_durations)
def step_durations(attempts: pd.DataFrame) -> Chart:
    """Each attempt's duration by step, a dot each, with the median of the completed ones.

    Uses step, outcome, duration_seconds of frames.ATTEMPTS; attempts without an end are left out.
    """
    title = "How long attempts take"
    ended = attempts[attempts["duration_seconds"].notna()]
    if ended.empty:
        return no_data(title)
    chart = new_chart()
    axes = chart.subplots()
    steps = _steps(ended)
    _draw_dots(axes, ended.assign(seconds=ended["duration_seconds"].clip(lower=0.001)), steps)
    medians = ended[ended["outcome"] == "completed"].groupby("step")["duration_seconds"].median()
    for step, seconds in medians.items():
        row = steps.index(str(step))
        axes.vlines(max(seconds, 0.001), row - 0.4, row + 0.4, color=INK, linewidth=2, zorder=0.9)
    _step_rows(axes, steps)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("duration of an attempt in seconds (logarithmic)")
    axes.set_title(title)
    median = Line2D([], [], color=INK, linewidth=3, label="median of completed")
    show_legend(chart, [*dots(ended["outcome"], ATTEMPT_COLOURS), median])
    return chart


@styled(descriptions.attempts_by_step)
def attempts_by_step(attempts: pd.DataFrame) -> Chart:
    """How many attempts each step took, stacked by outcome. Uses step and outcome of frames.ATTEMPTS."""
    title = "Attempts by step and outcome"
    if attempts.empty:
        return no_data(title)
    chart = new_chart()
    axes = chart.subplots()
    steps = _steps(attempts)
    counts = pd.crosstab(attempts["step"], attempts["outcome"]).reindex(steps, fill_value=0)
    before = np.zeros(len(steps))
    most = int(counts.sum(axis=1).max())
    for outcome, colour in ATTEMPT_COLOURS.items():
        if outcome not in counts:
            continue
        number = counts[outcome].to_numpy()
        bars = axes.barh(
            range(len(steps)), number, left=before, color=colour, hatch=HATCHES.get(outcome), edgecolor="white"
        )
        for bar, value in zip(bars, number, strict=True):
            if value / most > 0.035:
                box = {"facecolor": "white", "edgecolor": "none", "boxstyle": "round,pad=0.15", "alpha": 0.9}
                middle = bar.get_x() + bar.get_width() / 2
                axes.text(middle, bar.get_y() + bar.get_height() / 2, str(value), ha="center", va="center", bbox=box)
        before += number
    _step_rows(axes, steps)
    count_axis(axes.xaxis)
    axes.set_xlabel("number of attempts")
    axes.set_title(title)
    show_legend(chart, swatches(counts.columns, ATTEMPT_COLOURS))
    return chart


@styled(descriptions.retry_waits)
def retry_waits(attempts: pd.DataFrame) -> Chart:
    """The wait after each attempt that was tried again, by its number; colours tell how the attempt ended.

    Takes a frame of frames.ATTEMPTS; what a wait is, frames.retry_waits says. Diamonds: steps that are tried until
    done, whatever the order's policy is.
    """
    title = "How long the wait before a retry is"
    waits = frames.retry_waits(attempts) if len(attempts) else attempts
    if waits.empty:
        return no_data(title)
    chart = new_chart()
    axes = chart.subplots()
    until_done = waits["step"].isin(list(UNTIL_DONE.attempt_timeout_seconds))
    aside = 0.2 if until_done.nunique() > 1 else 0
    kinds = (("order's policy", -aside, "o", waits[~until_done]), ("until done", aside, "D", waits[until_done]))
    entries: list[Artist] = [*dots(waits["outcome"], ATTEMPT_COLOURS)]
    for label, side, marker, chosen in kinds:
        if chosen.empty:
            continue
        places = chosen["attempt"] + side + _spread(len(chosen)) / 2
        colours = chosen["outcome"].map(ATTEMPT_COLOURS)
        axes.scatter(places, chosen["wait_seconds"], c=colours, s=90, alpha=0.8, marker=marker)
        medians = chosen.groupby("attempt")["wait_seconds"].median()
        axes.hlines(
            medians, medians.index - 0.18 + side, medians.index + 0.18 + side, color=INK, linewidth=2, zorder=0.9
        )
        entries.append(Line2D([], [], color=INK, marker=marker, linewidth=3, markersize=9, label=f"median, {label}"))
    axes.set_xlim(0.4, max(int(waits["attempt"].max()), 2) + 0.6)
    axes.set_ylim(0, 1.12 * max(float(waits["wait_seconds"].max()), 0.05))
    count_axis(axes.xaxis)
    axes.set_xlabel("after attempt number")
    axes.set_ylabel("wait in seconds")
    axes.set_title(title)
    show_legend(chart, entries)
    return chart


def _steps(attempts: pd.DataFrame) -> list[str]:
    """The steps that occur, in the order of the lifecycle."""
    present = set(attempts["step"])
    return [str(step) for step in Step if step in present]


def _step_rows(axes: Axes, steps: list[str]) -> None:
    axes.set_yticks(range(len(steps)), steps)
    axes.set_ylim(len(steps) - 0.4, -0.6)
    axes.set_ylabel("step", labelpad=LABEL_PAD)
    axes.grid(axis="y", visible=False)


def _draw_dots(axes: Axes, attempts: pd.DataFrame, steps: list[str]) -> None:
    """Dots in a row a step; each outcome in a lane of its own, so that none hides another."""
    present = [outcome for outcome in ATTEMPT_COLOURS if outcome in set(attempts["outcome"])]
    for lane, outcome in enumerate(present):
        chosen = attempts[attempts["outcome"] == outcome]
        offset = 0.8 * ((lane + 0.5) / len(present) - 0.5)
        rows = chosen["step"].map(steps.index) + offset + _spread(len(chosen)) / len(present)
        axes.scatter(chosen["seconds"], rows, color=ATTEMPT_COLOURS[outcome], s=40, alpha=0.6)


def _spread(count: int) -> NDArray[np.float64]:
    """Offsets that keep equal values apart: the golden ratio's multiples, even and the same every time."""
    return SPREAD * (2 * (np.arange(count, dtype=np.float64) * 0.6180339887498949 % 1) - 1)
