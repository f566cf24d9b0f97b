"""What the stage shows, from rows and processes; no server, no browser."""

from __future__ import annotations

from typing import Any

import pytest

from orderkit.stage.state import DEATH_SHOWN_SECONDS, ProgramNow, Programs, is_balanced, order_card, verdict


def row(state: str = "approved", **steps: list[str]) -> dict[str, Any]:
    """An order whose steps were tried with these outcomes, oldest first; empty: no end is known."""
    made = {
        name: {"tries": len(outcomes), "outcomes": outcomes[::-1], "worker": "here:7", "last": number}
        for number, (name, outcomes) in enumerate(steps.items())
    }
    return {
        "order_id": "tea", "state": state, "deadline_seconds": 15.0, "age_seconds": 1.0,
        "closed": state == "shipped", "stop_reason": "", "steps": made,
    }  # fmt: skip


def test_card_stands_in_the_lane_of_its_step_with_the_marks_of_each_attempt() -> None:
    card = order_card(row(receive=["completed"], charge=["failed", "", ""]), lambda worker: False)
    assert card["lane"] == "charge"
    assert card["steps"] == [{"step": "charge", "tries": 3, "marks": ["failed", "lost", "running"]}]


def test_attempt_whose_worker_died_is_lost_before_anybody_wrote_so() -> None:
    card = order_card(row(charge=[""]), lambda worker: worker == "here:7")
    assert card["steps"] == [{"step": "charge", "tries": 1, "marks": ["lost"]}]


@pytest.mark.parametrize(
    ("state", "steps", "lane"),
    [
        ("shipped", {"dispatch": ["completed"], "ship": ["completed"]}, "shipped"),
        ("dispatched", {"dispatch": ["completed"], "ship": [""]}, "dispatch"),
        ("compensating", {"charge": ["completed"], "refund": [""]}, "stopped"),
        ("rejected", {"charge": ["failed"], "close": ["completed"]}, "stopped"),
        ("received", {}, "receive"),
    ],
)
def test_lanes(state: str, steps: dict[str, list[str]], lane: str) -> None:
    assert order_card(row(state, **steps), lambda worker: False)["lane"] == lane


def test_a_pid_that_changes_is_a_death_and_a_stop_is_none() -> None:
    programs = Programs()
    assert programs.see([ProgramNow("worker-0", "running", 7), ProgramNow("api", "running", 8)], 0) == []
    [death] = programs.see([ProgramNow("worker-0", "running", 9), ProgramNow("api", "stopped", 0)], 1)
    assert (death.name, death.pid) == ("worker-0", 7)
    assert [each["died"] for each in programs.shown(1)] == [7, 0]
    assert [each["died"] for each in programs.shown(2 + DEATH_SHOWN_SECONDS)] == [0, 0]
    assert programs.see([ProgramNow("worker-0", "backoff", 0)], 3)[0].pid == 9


def test_balance_is_said_and_judged_when_all_have_ended() -> None:
    balance = {"orders": 3, "open": 1, "shipped": 2, "taken": 3, "given_back": 0, "sent": 2}
    assert verdict(balance) == "taken 3, shipped 2, under way 1" and is_balanced(balance) is None
    assert is_balanced(balance | {"open": 0, "shipped": 3, "sent": 3}) is True
    assert is_balanced(balance | {"open": 0}) is False
