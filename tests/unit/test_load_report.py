"""What a load reports, from the rows of its orders alone."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from orderkit.audit.rules import Finding, FindingKind
from orderkit.core.orders import OrderState
from orderkit.load.report import LoadReport, percentile, summarise
from orderkit.store.measurements import OrderEnd

pytestmark = pytest.mark.unit
BEGIN = datetime(2026, 11, 27, tzinfo=UTC)


def ended(number: int, began: float, seconds: float, state: OrderState = OrderState.SHIPPED) -> OrderEnd:
    return OrderEnd(f"o-{number}", state, seconds, BEGIN + timedelta(seconds=began + seconds))


def reported(rows: list[OrderEnd], started: int, refused: Counter[str] | None = None) -> LoadReport:
    return summarise(5, rows, started, 10.0, (30, 4), refused or Counter(), 0, interrupted=False)


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(number) for number in range(1, 11)]
    assert [percentile(values, percent) for percent in (1, 50, 90, 91, 100)] == [1, 5, 9, 10, 10]
    assert percentile([7.0], 50) == 7.0


def test_a_rate_is_from_the_first_start_to_the_last_end() -> None:
    report = reported([ended(1, 0, 2), ended(2, 1, 3), ended(3, 2, 11)], started=3)
    assert report.seconds == 13.0
    assert report.per_second == pytest.approx(3 / 13)
    assert report.percentiles == {"p50": 3.0, "p90": 11.0, "p99": 11.0, "p100": 11.0}
    assert report.late == 1


def test_an_order_without_an_end_or_without_a_row_is_open() -> None:
    rows = [ended(1, 0, 2), OrderEnd("o-2", OrderState.CHARGED, None, None)]
    report = reported(rows, started=3)
    assert (report.ended, report.still_open, report.passed) == (1, 2, False)
    assert str(report) == "3 of 5 orders: 1 shipped; 2 still open; no findings in the audit"


def test_refused_starts_and_findings_do_not_pass() -> None:
    rows = [ended(number, 0, 1) for number in range(5)]
    assert reported(rows, started=5).passed
    assert not reported(rows, started=5, refused=Counter(OrderConflict=1)).passed
    found = LoadReport(**{**vars(reported(rows, 5)), "findings": [Finding("o-1", FindingKind.CHARGED_TWICE, "2")]})
    assert not found.passed
    assert str(found) == "5 orders: 5 shipped; 1 finding in the audit"


def test_nothing_was_started() -> None:
    report = reported([], started=0)
    assert (report.per_second, report.percentiles) == (0.0, {})
    assert str(report) == "0 of 5 orders: none has ended; no findings in the audit"
