"""Lesson 03: one script with which the patient policy ships and the hasty one fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from orderkit.lessons.verdicts import Finding, Verdict, verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd


class Status(Protocol):
    """What the API says of an order."""

    @property
    def policy(self) -> str | None:
        """Its policy's name."""

    @property
    def deadline_seconds(self) -> float | None:
        """Its deadline."""


class SeenOrder(Protocol):
    """An order as it was when it was looked at."""

    @property
    def state(self) -> str:
        """Where it stood."""

    @property
    def outcome(self) -> str | None:
        """How it ended, if it did."""

    @property
    def reason(self) -> str:
        """Why it was stopped, if it was."""

    @property
    def last(self) -> Status | None:
        """All that the API said."""


class Book(Protocol):
    """What this check asks of `lab.orders`."""

    @property
    def started(self) -> Mapping[str, str]:
        """The orders of this notebook, by name."""

    async def status(self, order: str) -> SeenOrder:
        """Look at an order."""

    async def events(self, order: str, full: bool) -> pd.DataFrame:
        """Columns: type, step, attempt, payload_json and more."""

    async def history(self, order: str, full: bool) -> pd.DataFrame:
        """Columns: workflow, type and more."""


class Bench(Protocol):
    """What this check asks of a Lab."""

    @property
    def orders(self) -> Book:
        """Its orders."""


async def patience_wins(lab: Bench, patient: str = "patient", hasty: str = "hasty") -> Verdict:
    """Two orders with the same faults and deadline: spec ships, budget fails."""
    hints = (
        "an error costs both little, and a hang costs the patient more; which word makes an attempt late, but good?",
        "budget gives an attempt a quarter of a second, spec 3 seconds for charge: slow(500) fits into one of them",
        'budget tries again and again, so each attempt must be slow: "charge=" + "slow(500)," * 40 + "ok"',
    )
    return verdict("patience_wins", await _patience_wins(lab.orders, patient, hasty), hints)


async def _patience_wins(orders: Book, patient: str, hasty: str) -> list[Finding]:
    seen: dict[str, Status] = {}
    findings = []
    for name, policy, wanted in ((patient, "spec", "shipped"), (hasty, "budget", "failed")):
        if name not in orders.started:
            return [Finding(False, f"no order {name} was started in this notebook")]
        order = await orders.status(name)
        if order.outcome is None or order.last is None:
            return [Finding(False, f"order {name} is {order.state}, it has not ended: wait for it")]
        seen[name] = order.last
        right = order.outcome == wanted and order.last.policy == policy
        why = f", because of: {order.reason}" if order.reason else ""
        told = f"order {name}, with {order.last.policy}, is {order.outcome}{why}"
        findings.append(Finding(right, told if right else f"{told}; it should be {wanted}, with {policy}"))
    deadlines = [f"{status.deadline_seconds:g} s" for status in seen.values() if status.deadline_seconds]
    same = len(set(deadlines)) == 1
    findings.append(
        Finding(same, f"their deadlines: {' and '.join(deadlines)}{'' if same else '; they should be the same'}")
    )
    different = _difference(await orders.events(patient, True), await orders.events(hasty, True))
    findings.append(Finding(not different, different or "both had the same faults, as far as each got"))
    history = await orders.history(hasty, True)
    red = bool((history["type"] == "WORKFLOW_EXECUTION_FAILED").any())
    findings.append(Finding(red, f"Temporal's history of {hasty} {'ends' if red else 'does not end'} as failed"))
    return findings


def _difference(patient: pd.DataFrame, hasty: pd.DataFrame) -> str:
    """The first attempt that both had, and that met other faults; empty when there is none."""
    theirs = _faults(hasty)
    for (step, attempt), fault in _faults(patient).items():
        other = theirs.get((step, attempt), fault)
        if other != fault:
            return f"not the same script: attempt {attempt} of {step} was {fault} for one and {other} for the other"
    return ""


def _faults(events: pd.DataFrame) -> dict[tuple[str, int], str]:
    """What the plan held for each attempt."""
    starts = events[events["type"] == "step_started"]
    return {
        (step, int(attempt)): payload.get("fault", "ok")
        for step, attempt, payload in zip(starts["step"], starts["attempt"], starts["payload_json"], strict=True)
    }
