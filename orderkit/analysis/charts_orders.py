"""Charts of many orders: how they ended, how long they took, what was predicted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, StepPatch
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from orderkit.analysis import descriptions
from orderkit.analysis.palette import BLUE, GREY, ORDER_COLOURS, SKY
from orderkit.analysis.prediction import Prediction
from orderkit.analysis.style import (
    INK,
    Chart,
    count_axis,
    deadline_line,
    dots,
    new_chart,
    no_data,
    show_legend,
    styled,
    swatches,
)
from orderkit.analysis.words import percent

WIDTHS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600)  # of bins, in seconds
MOST_BINS = 60
ENDS = ("shipped", "cancelled", "rejected", "failed")


@styled(descriptions.time_to_outcome)
def time_to_outcome(summaries: pd.DataFrame, prediction: Prediction | None = None) -> Chart:
    """How long orders took, stacked by how they ended, against the deadline; with what was predicted as a line.

    Uses state, duration_seconds, deadline_seconds of frames.SUMMARIES; open orders are counted in the title.
    """
    title = "Time to the outcome"
    ended = summaries[summaries["duration_seconds"].notna()]
    if ended.empty:
        return no_data(title)
    chart = new_chart()
    axes = chart.subplots()
    deadlines = sorted(ended["deadline_seconds"].unique())
    end = 1.05 * max(float(ended["duration_seconds"].max()), *(1.03 * deadline for deadline in deadlines))
    edges = _edges(end)
    before = np.zeros(len(edges) - 1)
    for state in ENDS:
        number, _ = np.histogram(ended["duration_seconds"][ended["state"] == state], edges)
        if number.any():
            axes.bar(
                edges[:-1], number, np.diff(edges), before, align="edge", color=ORDER_COLOURS[state], edgecolor="white"
            )
        before += number
    lines: list[Artist] = [deadline_line(axes, deadline) for deadline in deadlines]
    if prediction is not None:
        expected = np.diff(np.interp(edges, prediction.curve["seconds"], prediction.curve["probability"], left=0))
        middles = (edges[:-1] + edges[1:]) / 2
        lines += axes.plot(middles, expected * len(ended), color=INK, linewidth=2.5, marker="o", label="predicted")
    axes.set_xlim(0, edges[-1])
    count_axis(axes.yaxis)
    axes.set_xlabel("seconds from an order's start to its end")
    axes.set_ylabel(f"orders in each {edges[1]:g} s")
    still_open = len(summaries) - len(ended)
    axes.set_title(f"{title} of {len(ended)} orders{f', {still_open} still open' if still_open else ''}")
    show_legend(chart, [*swatches(ended["state"], ORDER_COLOURS), *lines])
    return chart


@styled(descriptions.load)
def load(summaries: pd.DataFrame) -> Chart:
    """Throughput above, latency below, over the seconds since the first order's start.

    Uses state, started_at, closed_at, duration_seconds of frames.SUMMARIES.
    """
    title = "Throughput and latency under load"
    if summaries.empty:
        return no_data(title)
    chart = new_chart()
    above, below = chart.subplots(2, 1, sharex=True)
    first = summaries["started_at"].min()
    started = (summaries["started_at"] - first).dt.total_seconds()
    closed = (summaries["closed_at"] - first).dt.total_seconds()
    span = max(float(started.max()), float(closed.max()) if closed.notna().any() else 0.0, 1.0)
    edges = _edges(span)
    width = edges[1]
    lines: list[Artist] = [
        _draw_rate(above, started, edges, GREY, "started", "-"),
        _draw_rate(above, closed.dropna(), edges, INK, "ended", "-"),
    ]
    above.set_ylim(bottom=0)
    above.set_ylabel("orders a second")
    above.set_title(f"{title}: {len(summaries)} orders")
    state = summaries["state"].where(summaries["state"].isin(ENDS), "open")
    for end in ENDS:
        chosen = state == end
        below.scatter(started[chosen], summaries["duration_seconds"][chosen], color=ORDER_COLOURS[end], s=45, alpha=0.6)
    ended = pd.DataFrame({"bin": np.digitize(started, edges) - 1, "seconds": summaries["duration_seconds"]}).dropna()
    for quantile, style in ((0.5, "-"), (0.9, (0, (3, 1)))):
        by_bin = ended.groupby("bin")["seconds"].quantile(quantile)
        label = f"p{quantile * 100:g} by start"
        lines += below.plot(
            edges[by_bin.index] + width / 2, by_bin, color=BLUE, linewidth=3, linestyle=style, label=label
        )
    below.set_ylim(bottom=0)
    below.set_xlim(0, edges[-1])
    below.set_ylabel("seconds to the end")
    below.set_xlabel("seconds since the first order's start")
    show_legend(chart, [*dots(state[state != "open"], ORDER_COLOURS), *lines])
    return chart


@styled(descriptions.predicted_vs_measured)
def predicted_vs_measured(comparison: pd.DataFrame) -> Chart:
    """Predicted against measured shares, side by side, each with its 95 % interval.

    Takes a frame of comparison.COMPARISON.
    """
    title = "Predicted and measured"
    if comparison.empty:
        return no_data(title)
    chart = new_chart()
    axes = chart.subplots()
    places = np.arange(len(comparison), dtype=np.float64)
    entries: list[Artist] = []
    for side, name, colour in ((-0.2, "predicted", GREY), (0.2, "measured", SKY)):
        shares = comparison[name].to_numpy()
        below = shares - comparison[f"{name}_low"].to_numpy()
        above = comparison[f"{name}_high"].to_numpy() - shares
        axes.bar(places + side, shares, 0.38, color=colour, edgecolor="white")
        entries.append(Patch(color=colour, label=name))
        if (below + above).any():
            axes.errorbar(places + side, shares, [below, above], fmt="none", ecolor=INK, elinewidth=2, capsize=8)
        for place, share, error in zip(places + side, shares, above, strict=True):
            axes.text(place, share + error + 0.015, percent(share), ha="center", fontsize=14)
    axes.set_xticks(places, [f"{row.policy}\n{row.measure}" for row in comparison.itertuples()])
    axes.set_ylim(0, 1.1)
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_ylabel("share of orders")
    axes.grid(axis="x", visible=False)
    axes.set_title(f"{title}: {_orders(comparison)}")
    interval = Line2D([], [], color=INK, linewidth=2, marker="_", markersize=14, label="95 % interval")
    show_legend(chart, [*entries, interval])
    return chart


def _edges(end_seconds: float) -> NDArray[np.float64]:
    """Bins of a round width from 0 to beyond the end."""
    width = next((width for width in WIDTHS if end_seconds / width <= MOST_BINS), end_seconds / MOST_BINS)
    return width * np.arange(int(end_seconds / width) + 2, dtype=np.float64)


def _draw_rate(
    axes: Axes,
    seconds: pd.Series,
    edges: NDArray[np.float64],
    colour: str,
    label: str,
    style: Any,
) -> StepPatch:
    number, _ = np.histogram(seconds, edges)
    return axes.stairs(number / np.diff(edges), edges, color=colour, linewidth=3, linestyle=style, label=label)


def _orders(comparison: pd.DataFrame) -> str:
    counts = comparison.groupby("policy", sort=False)["orders"].first()
    return ", ".join(f"{count} orders with {policy}" for policy, count in counts.items())
