"""The chart of failures over time."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.patches import Patch

from orderkit.analysis import descriptions
from orderkit.analysis.palette import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION
from orderkit.analysis.style import Chart, count_axis, new_chart, no_data, show_legend, styled

_COLOURS = (VERMILLION, ORANGE, BLUE, PURPLE, SKY, GREEN)
_HATCHES = ("", "//", "..", "xx", "\\\\", "++")  # the colour never says it alone


@styled(descriptions.failures_over_time)
def failures_over_time(failures: pd.DataFrame) -> Chart:
    """How many attempts did not complete, over time, stacked by step and kind; the rarest kinds as one.

    Uses ts, step, kind, attempts of operations.FAILURES.
    """
    title = "Attempts that did not complete"
    if failures.empty:
        return no_data(title)
    named = failures.assign(what=failures["step"] + ": " + failures["kind"])
    most = named.groupby("what")["attempts"].sum().sort_values(ascending=False, kind="stable").index
    shown = list(most[: len(_COLOURS)])
    named["what"] = named["what"].where(named["what"].isin(shown), "other")
    counts = named.pivot_table(index="ts", columns="what", values="attempts", aggfunc="sum", fill_value=0)
    times = date2num(pd.DatetimeIndex(counts.index).to_pydatetime())  # type: ignore[no-untyped-call]
    width = 0.9 * (float(np.diff(times).min()) if len(times) > 1 else 10 / 86_400)
    chart = new_chart()
    axes = chart.subplots()
    before = np.zeros(len(counts))
    entries = []
    for what, colour, hatch in zip([*shown, "other"], [*_COLOURS, GREY], [*_HATCHES, ""], strict=False):
        if what in counts:
            number = counts[what].to_numpy()
            axes.bar(times, number, width, before, color=colour, hatch=hatch, edgecolor="white")
            entries.append(Patch(facecolor=colour, hatch=hatch, edgecolor="white", label=what))
            before += number
    locator = AutoDateLocator(maxticks=8)  # type: ignore[no-untyped-call]
    axes.xaxis_date()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    count_axis(axes.yaxis)
    axes.set_xlabel("time (UTC)")
    axes.set_ylabel("attempts")
    axes.set_title(f"{title}: {int(failures['attempts'].sum())}")
    show_legend(chart, entries)
    return chart
