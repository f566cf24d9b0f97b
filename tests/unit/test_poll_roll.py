"""A new worker counts by its poll until its heartbeats come; an old poll brings no dead worker back."""

from __future__ import annotations

from orderkit.api.health import PollRoll

NOW = 1_000.0


def nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)


def test_a_worker_that_polled_once_counts_until_its_heartbeats_can_have_come() -> None:
    roll, polls = PollRoll(), {"w": nanoseconds(NOW)}
    assert [roll.fresh("q", polls, NOW + after, after) for after in (0.1, 1.1, 2.1, 3.0)] == [1, 1, 1, 1]
    assert roll.fresh("q", polls, NOW + 4, 4) == 0  # its poll goes on, but no heartbeat has come


def test_an_old_poll_counts_for_nothing() -> None:
    assert PollRoll().fresh("q", {"dead": nanoseconds(NOW - 30)}, NOW, 0) == 0


def test_a_poll_since_the_last_look_counts_whatever_the_clocks_say() -> None:
    roll = PollRoll()
    assert roll.fresh("q", {"w": nanoseconds(NOW - 500)}, NOW, 0) == 0
    assert roll.fresh("q", {"w": nanoseconds(NOW - 499)}, NOW, 1) == 1


def test_what_heartbeats_tell_of_is_forgotten() -> None:
    roll, polls = PollRoll(), {"w": nanoseconds(NOW)}
    assert roll.fresh("q", polls, NOW, 0) == 1
    roll.forget("q")
    assert roll.fresh("q", polls, NOW + 10, 10) == 0  # the same poll, seen after the worker's end
