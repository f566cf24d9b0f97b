"""`orderkit bench store` and `events`: in a database of their own, which is gone afterwards."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from orderkit.cli.benchmarks import app


def ask(*arguments: str) -> dict[str, object] | list[dict[str, object]]:
    result = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    answered: dict[str, object] | list[dict[str, object]] = json.loads(result.stdout)
    return answered


def test_the_writes_of_orders_are_measured() -> None:
    found = ask("store", "--orders", "3")
    assert isinstance(found, list)
    assert [(each["at_once"], each["notified"]) for each in found] == [(1, True), (1, False), (40, True), (40, False)]
    assert all(isinstance(rate := each["per_second"], float) and rate > 0 for each in found)


def test_every_question_is_asked_at_every_size() -> None:
    found = ask("events", "--events", "10000")
    assert isinstance(found, dict)
    reads = found["reads"]
    assert isinstance(reads, list)
    sizes = {each["events"] for each in reads}
    assert sizes == {990, 9_990}
    assert {each["read"] for each in reads if each["events"] == 990} == {each["read"] for each in reads}
    assert found["bytes_an_event"] == pytest.approx(320, rel=0.5)
