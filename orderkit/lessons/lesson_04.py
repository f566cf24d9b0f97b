"""Lesson 04's exercise: the same faults, the same deadline, two policies, two ends."""

from __future__ import annotations

from orderkit.lab.display import Order
from orderkit.lab.lab import Lab
from orderkit.lessons.findings import (
    DEADLINE_CAME_NEAR,
    audit_is_clean,
    faults_met,
    find,
    how,
    not_started,
    shipped,
    wanted,
)
from orderkit.lessons.verdicts import Observation, Verdict, verdict

_POLICIES_RIGHT = "their policies are spec and budget"


async def tortoise_and_hare(lab: Lab, slow: str = "tortoise", fast: str = "hare") -> Verdict:
    """Under the same faults and the same deadline, `spec` runs out of time and `budget` ships."""
    hints = (
        f'start "{slow}" with policy="spec" and "{fast}" with policy="budget"; everything else must be the same',
        "a hang costs spec 3 seconds and budget a quarter of a second; but if a step hangs three times, spec gives up "
        "before the time is up",
        'try review="none", deadline=6, faults="charge=hang,hang,ok" for both; start both, then wait for both',
    )
    found = await _look(lab, slow, fast)
    return verdict("tortoise_and_hare", found, hints, known=_POLICIES_RIGHT in [finding.text for finding in found])


async def _look(lab: Lab, slow: str, fast: str) -> list[Observation]:
    tortoise, hare = await find(lab, slow), await find(lab, fast)
    if tortoise is None or hare is None:
        missing = [name for name, order in ((slow, tortoise), (fast, hare)) if order is None]
        return [not_started(" and no order ".join(missing))]
    if still := [name for name, order in ((slow, tortoise), (fast, hare)) if order.outcome is None]:
        return [Observation(False, f"not ended: {', '.join(still)}; wait for it")]
    late = tortoise.outcome == "failed" and DEADLINE_CAME_NEAR in tortoise.reason
    given_up = "it ran out of attempts, and should run out of time"
    return [
        wanted(late, how(slow, tortoise), given_up if tortoise.outcome == "failed" else "it should run out of time"),
        shipped(fast, hare),
        _policies(tortoise, hare),
        _deadlines(tortoise, hare),
        _same_faults(await faults_met(lab, slow), await faults_met(lab, fast)),
        await audit_is_clean(lab, slow, fast),
    ]


def _policies(tortoise: Order, hare: Order) -> Observation:
    used = [order.last.policy if order.last else None for order in (tortoise, hare)]
    told = f"their policies are {used[0]} and {used[1]}"
    return wanted(used == ["spec", "budget"], told, "they should be spec and budget")


def _deadlines(tortoise: Order, hare: Order) -> Observation:
    given = [order.last.deadline_seconds if order.last else None for order in (tortoise, hare)]
    if given[0] == given[1]:
        return Observation(True, f"both had {given[0]:g} seconds")
    return Observation(False, f"they had {given[0]:g} and {given[1]:g} seconds; it should be the same")


def _same_faults(slow: dict[tuple[str, int], str], fast: dict[tuple[str, int], str]) -> Observation:
    differing = sorted(
        {step for step, attempt in slow.keys() & fast.keys() if slow[step, attempt] != fast[step, attempt]}
    )
    if differing:
        return Observation(False, f"they met different faults in {', '.join(differing)}")
    return Observation(True, "they met the same faults")
