"""Lesson 00's exercise. Every check looks at what the orders did and what history says, never at the learner's text."""

from __future__ import annotations

from orderkit.lab.lab import Lab
from orderkit.lessons.findings import attempts, ended, paid_once, shipped, wanted
from orderkit.lessons.verdicts import Observation, Verdict, verdict


async def two_failed_charges(lab: Lab, name: str = "refill") -> Verdict:
    """An order whose charge fails twice, and that ships; charged once."""
    hints = (
        f'start it as in round 4, under the name "{name}", and wait for its end',
        "faults= names a step, and then says what happens to its attempts 1, 2, 3 …",
        'attempt 3 of charge must succeed: write "charge=" and then three words, the last of them ok',
    )
    found = await _look(lab, name)
    return verdict("two_failed_charges", found, hints, known=len(found) > 1)


async def _look(lab: Lab, name: str) -> list[Observation]:
    order = await ended(lab, name)
    if isinstance(order, Observation):
        return [order]
    tried = await lab.orders.attempts(name)
    charges = tried[tried["step"] == "charge"]["outcome"].tolist()
    failures = sum(outcome in ("failed", "timed_out", "lost") for outcome in charges)
    tries = f"charge had {attempts(len(charges))}"
    if failures == 2:
        charge = Observation(True, f"{tries}, and 2 of them failed")
    else:
        charge = Observation(False, f"{tries}, and {failures or 'none'} failed; it should fail twice, then succeed")
    others = sorted(set(tried[tried["outcome"] != "completed"]["step"]) - {"charge"})
    only = Observation(not others, f"no other step failed{': but ' + ', '.join(others) + ' did' if others else ''}")
    history = await lab.orders.history(name, full=True)
    started = history[(history["type"] == "ACTIVITY_TASK_STARTED") & (history["name"] == "charge_payment_activity")]
    number = int(started["attempt"].max()) if len(started) else 0
    told = f"Temporal's history says that attempt {number} of charge was its last"
    seen = wanted(number == 3, told, "it should be attempt 3")
    return [shipped(name, order), charge, only, seen, await paid_once(lab, name)]
