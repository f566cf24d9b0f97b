"""What a cell shows while a call is at work: nothing for a moment, then a line, and nothing that a test compares."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from orderkit.lab import progress

Told = list[dict[str, Any]]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Every output of the cell."""
    outputs: Told = []

    class Handle:
        def update(self, bundle: dict[str, Any], raw: bool) -> None:
            outputs.append(bundle)

    def display(bundle: dict[str, Any], raw: bool, display_id: bool = False) -> Handle:
        outputs.append(bundle)
        return Handle()

    monkeypatch.setattr(progress, "displayer", lambda: display)
    return outputs


def until_shown(outputs: Told, count: int) -> Callable[[Callable[[str], None]], str]:
    """A blocking call that ends as soon as this many outputs were shown."""

    def work(tell: Callable[[str], None]) -> str:
        tell("Ended what was left")
        deadline = time.monotonic() + 10
        while len(outputs) < count and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        return "done"

    return work


async def test_quiet_call_that_takes_long_shows_a_line_within_two_seconds_that_no_test_compares(shown: Told) -> None:
    async with asyncio.timeout(2):
        assert await progress.with_progress(until_shown(shown, 1), quiet=True) == "done"
    assert [list(bundle) for bundle in shown] == [["application/vnd.jupyter.widget-view+json"], []]


async def test_quiet_call_that_is_quick_shows_nothing(shown: Told) -> None:
    assert await progress.with_progress(until_shown(shown, 0), quiet=True) == "done"
    assert shown == []


async def test_waits_show_a_line_that_passes(shown: Told) -> None:
    async with asyncio.timeout(2):
        async with progress.passing("Waiting until workers poll"):
            await asyncio.to_thread(until_shown(shown, 1), lambda _: None)
    assert [list(bundle) for bundle in shown] == [["application/vnd.jupyter.widget-view+json"], []]


async def test_short_waits_show_nothing(shown: Told) -> None:
    async with progress.passing("Waiting until workers poll"):
        pass
    assert shown == []


async def test_other_calls_show_their_line_at_once_and_what_came_of_them(shown: Told) -> None:
    await progress.with_progress(until_shown(shown, 1), quiet=False)
    assert shown[-1]["text/plain"] == "The lab is up."


async def test_failure_is_told(shown: Told) -> None:
    def fail(tell: Callable[[str], None]) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await progress.with_progress(fail, quiet=False)
    assert shown[-1]["text/plain"] == "The lab did not start."
