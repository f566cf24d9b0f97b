"""Lesson 06's exercise: an attempt takes the money, and its worker dies before it can say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orderkit.lab.lab import Lab
from orderkit.lessons.findings import audit_is_clean, ended, shipped, took, wanted
from orderkit.lessons.verdicts import Observation, Verdict, verdict

if TYPE_CHECKING:
    import pandas as pd


async def charged_by_the_dead(lab: Lab, name: str = "tug") -> Verdict:
    """The first charge is lost, and yet it is the one that took the money; shipped and charged once."""
    hints = (
        "the provider must have taken the money, and the worker must not answer: which fault hangs after the deed?",
        f'the fault is hang_after. Wait for the charge: await lab.orders.wait("{name}", until="charged"); then kill',
        f'lab.orders.start("{name}", review="none", faults="charge=hang_after", deadline=60), then the wait, then '
        "lab.workers.kill(): each with await, and all in one cell, because the attempt ends after 3 seconds",
    )
    return verdict("charged_by_the_dead", await _look(lab, name), hints)


async def _look(lab: Lab, name: str) -> list[Observation]:
    order = await ended(lab, name)
    if isinstance(order, Observation):
        return [order]
    attempts = await lab.orders.attempts(name, full=True)
    ledger = await lab.orders.ledger(name, full=True)
    charges, taken = attempts[attempts["step"] == "charge"], ledger[ledger["kind"] == "charge"]
    return [
        shipped(name, order),
        _lost(charges),
        _taken_by_the_first(charges, taken),
        took(len(taken)),
        await audit_is_clean(lab, name),
    ]


def _lost(charges: pd.DataFrame) -> Observation:
    outcomes = charges["outcome"].tolist()
    if outcomes[:1] == ["lost"]:
        return Observation(True, "attempt 1 of charge is lost: its worker died")
    if not outcomes:
        return Observation(False, "charge was never tried")
    found = f"attempt 1 of charge is {outcomes[0].replace('_', ' ')}"
    return Observation(False, f"{found}; it should be lost: kill the worker before the attempt ends")


def _taken_by_the_first(charges: pd.DataFrame, taken: pd.DataFrame) -> Observation:
    if taken.empty:
        return Observation(False, "nobody took the money")
    earlier = int((charges["started_at"] < taken["ts"].iloc[0]).sum())
    return wanted(earlier == 1, f"the money was taken by attempt {earlier} of charge", "it should be attempt 1")
