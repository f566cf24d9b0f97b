"""How frames, cards and verdicts show themselves: their index where it says something, and text as it was written."""

from __future__ import annotations

import inspect
import re
import warnings
from html import unescape
from typing import Any

import pandas as pd
import pytest

from orderkit.analysis.charts import order_timeline
from orderkit.analysis.frames import TIMELINE, Frame, timeline_frame
from orderkit.analysis.markup import escape
from orderkit.core.orders import OrderId
from orderkit.lab.display import Audit, Order, source
from orderkit.lab.frame import Table
from orderkit.lessons.museum import (
    deaf_order,
    early_news,
    free_tea,
    hard_deadline,
    hasty_clerk,
    old_label,
    polite_cancel,
)
from orderkit.lessons.verdicts import Observation, Verdict
from orderkit.workflows.order import OrderWorkflow

MISSING = float("nan")
DOLLARS = "$20 is more than $10, \\(x\\) and {$1 {$2"


@pytest.fixture
def table() -> Table:
    attempts = pd.array([1, None, 2], dtype="Int64")
    return Table({"step": ["charge", "ship", "ship"], "attempt": attempts, "outcome": ["failed", "lost", "completed"]})


def shown(frame: Any) -> list[list[str]]:
    """The cells of its HTML, and that its text says the same."""
    rows = re.findall(r"<tr>(.*?)</tr>", frame._repr_html_())
    cells = [[unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in rows]
    words = [[cell.rpartition("\xa0")[2] for cell in row if cell] for row in cells]
    assert repr(frame).split() == " ".join(word for row in words for word in row).split()
    return cells


def test_plain_table_shows_no_index_and_nothing_for_a_number_that_is_missing(table: Table) -> None:
    assert shown(table) == [
        ["step", "attempt", "outcome"],
        ["charge", "1", "✖\xa0failed"],
        ["ship", "", "☠\xa0lost"],
        ["ship", "2", "✔\xa0completed"],
    ]
    assert shown(table[table["step"] == "ship"])[1:] == [["ship", "", "☠\xa0lost"], ["ship", "2", "✔\xa0completed"]]


@pytest.mark.parametrize(
    ("changed", "cells"),
    [
        (
            lambda t: t.set_index("step")[["attempt"]],
            [["step", "attempt"], ["charge", "1"], ["ship", ""], ["ship", "2"]],
        ),
        (lambda t: t.groupby("step")[["attempt"]].sum(), [["step", "attempt"], ["charge", "1"], ["ship", "2"]]),
        (lambda t: t.groupby("step")[["step"]].count(), [["step", "step"], ["charge", "1"], ["ship", "2"]]),
        (
            lambda t: t.groupby(["step", "outcome"])[["attempt"]].max().head(1),
            [["step", "outcome", "attempt"], ["charge", "✖\xa0failed", "1"]],
        ),
        (
            lambda t: t.pivot_table(index="step", columns="outcome", values="attempt", aggfunc="sum"),
            [["step", "completed", "failed", "lost"], ["charge", "", "1", ""], ["ship", "2", "", "0"]],
        ),
        (
            lambda t: t.pivot_table(index=["step"], columns=["outcome"], values=["attempt"], aggfunc="sum").head(1),
            [["step", "attempt completed", "attempt failed", "attempt lost"], ["charge", "", "1", ""]],
        ),
        (lambda t: t[["attempt"]].head(1).rename(index={0: "first"}), [["", "attempt"], ["first", "1"]]),
    ],
    ids=["indexed", "grouped", "grouped by its own name", "two levels", "pivoted", "pivoted in levels", "with texts"],
)
def test_table_keeps_an_index_that_says_something(table: Table, changed: Any, cells: list[list[str]]) -> None:
    assert shown(changed(table)) == cells


@pytest.mark.parametrize(
    "thing",
    [
        Table({"why": [DOLLARS]}),
        Frame({"why": [DOLLARS]}),
        Audit(1, (("tea", "charged_twice", DOLLARS),)),
        Verdict((Observation(True, DOLLARS),)),
        Order(DOLLARS, OrderId("tea")),
    ],
    ids=["table", "frame", "audit", "verdict", "card"],
)
def test_no_dollar_sign_and_no_backslash_is_left_for_mathjax(thing: Any) -> None:
    html = thing._repr_html_()
    assert escape(DOLLARS) in html
    assert not re.search(r"[$\\]", re.sub(r"<span>[$\\]</span>", "", html))


def test_chart_shows_dollars_as_they_are_and_characters_without_a_font_without_a_warning() -> None:
    at = pd.Timestamp("2026-01-02 09:00", tz="UTC")
    row = dict.fromkeys(TIMELINE, "") | {"started_at": at, "ended_at": at, "start_seconds": 0.0, "end_seconds": 1.0}
    told = f"{DOLLARS} 太贵了 🫖"
    rows = [
        {
            **row,
            "order_id": "茶 {$1 {$2",
            "kind": "attempt",
            "name": "charge",
            "outcome": "failed",
            "attempt": 1,
            "event_id": 1,
        },
        {
            **row,
            "order_id": "茶 {$1 {$2",
            "kind": "event",
            "name": "order_stopped",
            "detail": told,
            "attempt": None,
            "event_id": 2,
        },
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chart = order_timeline(timeline_frame(rows))
        assert chart._repr_png_().startswith(b"\x89PNG")
    texts = [text.get_text() for text in chart.axes[0].texts]
    assert f"order stopped: {told}" in texts
    assert not any(text.get_parse_math() for text in [*chart.axes[0].texts, chart.axes[0].title])


def test_money_and_seconds_have_two_digits_and_a_missing_one_is_empty() -> None:
    frame = Frame(
        {
            "order": ["tea", "jug"],
            "left_seconds": [299.795122, MISSING],
            "kept": [50.9, 0.0],
            "attempt": pd.array([1, None], dtype="Int64"),
            "share": [0.08, MISSING],
        }
    )
    assert repr(frame).split("\n") == [
        "  order left_seconds   kept attempt  share",
        "0   tea       299.80  50.90       1   0.08",
        "1   jug                0.00            NaN",
    ]
    html = frame._repr_html_() or ""
    assert "<td>50.90</td>" in html
    assert "795122" not in html
    assert frame["kept"].sum() == 50.9  # only what is shown is text


def test_code_is_wrapped_between_words_and_stays_code() -> None:
    code = str(source(long_lines))
    assert max(map(len, code.splitlines())) <= 88
    assert len(code.splitlines()) > len(inspect.getsource(long_lines).splitlines())
    scope: dict[str, Any] = {}
    exec(code, scope)
    assert scope["long_lines"](1) == long_lines(1)
    comments = [line for line in code.splitlines() if "eighty-eight columns" in line or "the comment goes on" in line]
    assert len(comments) == 2
    assert all(line.lstrip().startswith("# ") for line in comments)


def long_lines(start: int) -> int:
    """Its docstring is longer than what a notebook shows whole, so that it goes on in the next line of the cell."""
    # This comment is longer than eighty-eight columns, which is the widest that fits into a cell: the comment goes on.
    return sum([start, start + 1, start + 2, start + 3, start + 4, start + 5, start + 6, start + 7, start + 8, start])


@pytest.mark.parametrize(
    "shown",
    [polite_cancel, free_tea, old_label, deaf_order, hard_deadline, early_news, hasty_clerk, OrderWorkflow._go_forward],
)
def test_code_that_a_lesson_shows_fits_into_a_cell(shown: Any) -> None:
    assert max(map(len, source(shown).code.splitlines())) <= 88
