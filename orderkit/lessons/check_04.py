"""Lesson 04's exercise: the same faults, the same deadline, two policies, two ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from orderkit.lessons.audited import AuditedBench, audit_is_clean, how
from orderkit.lessons.checks import OrderBook, SeenOrder
from orderkit.lessons.verdicts import Finding, Verdict, verdict

if TYPE_CHECKING:
    import pandas as pd


class SeenStatus(Protocol):
    """What the API says of an order."""

    @property
    def policy(self) -> str | None:
        """The retry policy's name."""

    @property
    def deadline_seconds(self) -> float | None:
        """Its deadline."""


class RacingOrder(SeenOrder, Protocol):
    """An order as it was when it was looked at."""

    @property
    def last(self) -> SeenStatus | None:
        """All that the API says."""


class Racecourse(OrderBook, Protocol):
    """What this check asks of `lab.orders`."""

    async def status(self, order: str) -> RacingOrder:
        """Look at an order."""

    async def events(self, order: str, full: bool) -> pd.DataFrame:
        """As analysis.frames.EVENTS."""


class RaceBench(AuditedBench, Protocol):
    """A Lab."""

    @property
    def orders(self) -> Racecourse:
        """Its orders."""


async def tortoise_and_hare(lab: RaceBench, slow: str = "tortoise", fast: str = "hare") -> Verdict:
    """Under the same faults and the same deadline, `spec` runs out of time and `budget` ships."""
    hints = (
        f'start "{slow}" with policy="spec" and "{fast}" with policy="budget"; everything else must be the same',
        "a hang costs spec 3 seconds and budget a quarter of a second; but no step may hang three times: spec gives up "
        "on it before the time is up",
        'try review="none", deadline=6, faults="charge=hang,hang,ok" for both; start both, then wait for both',
    )
    return verdict("tortoise_and_hare", await _look(lab, slow, fast), hints)


async def _look(lab: RaceBench, slow: str, fast: str) -> list[Finding]:
    if missing := [name for name in (slow, fast) if name not in lab.orders.started]:
        return [Finding(False, f"no order {' and no order '.join(missing)} was started in this notebook")]
    tortoise, hare = await lab.orders.status(slow), await lab.orders.status(fast)
    if still := [name for name, order in ((slow, tortoise), (fast, hare)) if order.outcome is None]:
        return [Finding(False, f"not ended: {', '.join(still)}; wait for it")]
    late = tortoise.outcome == "failed" and "deadline" in tortoise.reason
    given_up = "" if late or tortoise.outcome != "failed" else "; that is not the time, it is the number of attempts"
    return [
        Finding(late, how(slow, tortoise) + given_up),
        Finding(hare.outcome == "shipped", how(fast, hare)),
        _policies(tortoise, hare),
        _deadlines(tortoise, hare),
        _same_faults(await _faults(lab, slow), await _faults(lab, fast)),
        await audit_is_clean(lab, slow, fast),
    ]


def _policies(tortoise: RacingOrder, hare: RacingOrder) -> Finding:
    used = [order.last.policy if order.last else None for order in (tortoise, hare)]
    return Finding(used == ["spec", "budget"], f"their policies are {used[0]} and {used[1]}")


def _deadlines(tortoise: RacingOrder, hare: RacingOrder) -> Finding:
    given = [order.last.deadline_seconds if order.last else None for order in (tortoise, hare)]
    if given[0] == given[1]:
        return Finding(True, f"both had {given[0]:g} seconds")
    return Finding(False, f"they had {given[0]:g} and {given[1]:g} seconds; it should be the same")


async def _faults(lab: RaceBench, name: str) -> dict[tuple[str, int], str]:
    """What the plan held for each attempt that was made."""
    events = await lab.orders.events(name, True)
    starts = events[events["type"] == "step_started"]
    return {
        (str(step), int(attempt)): payload.get("fault", "ok")
        for step, attempt, payload in zip(starts["step"], starts["attempt"], starts["payload_json"], strict=True)
    }


def _same_faults(slow: dict[tuple[str, int], str], fast: dict[tuple[str, int], str]) -> Finding:
    differing = sorted(
        {step for step, attempt in slow.keys() & fast.keys() if slow[step, attempt] != fast[step, attempt]}
    )
    if differing:
        return Finding(False, f"they met different faults in {', '.join(differing)}")
    return Finding(True, "they met the same faults")
