"""Lesson 02's exercise: an order that moved before it was approved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orderkit.lab.lab import Lab
from orderkit.lessons.findings import find, not_started, shipped, wanted
from orderkit.lessons.verdicts import Observation, Verdict, verdict

if TYPE_CHECKING:
    import pandas as pd

NOBODY = ("the timer", "no review", "nobody")


async def moved_before_approval(lab: Lab, name: str = "gift") -> Verdict:
    """An order whose address was changed by an update, then approved by a person, and that shipped."""
    hints = (
        f'start "{name}" as "chair" was started, and wait until it is in review, before you send anything',
        "you hear an answer with an update, not with a signal; approve only after it",
        'in this order: start, wait(until="in_review"), change_address(…, via="update"), approve, wait',
    )
    return verdict("moved_before_approval", await _look(lab, name), hints)


async def _look(lab: Lab, name: str) -> list[Observation]:
    order = await find(lab, name)
    if order is None:
        return [not_started(name)]
    happened = await lab.orders.events(name, full=True)
    events = happened["type"].tolist()
    changes, moved = events.count("address_changed"), "address_changed" in events
    if order.outcome is None:
        waits = "it waits for a yes or a no" if order.state == "in_review" else "it has not ended: wait for it"
        so_far = "" if moved else ", and its address is as it was"
        return [Observation(False, f"order {name} is {order.state}{so_far}; {waits}")]
    history = await lab.orders.history(name, full=True)
    reviewer = _reviewer(happened)
    person = wanted(reviewer not in NOBODY, f"it was approved by {reviewer}", "a person should approve it")
    address = Observation(moved, f"its address was changed {changes} time{'s' * (changes != 1)}")
    in_time = moved and "order_approved" in events[events.index("address_changed") :]
    before = Observation(in_time, f"the address was {'' if in_time else 'not '}changed before the approval")
    asked = _sent(history, "address")
    told = "by update: you heard the answer" if asked else "not by update: nobody told you whether it worked"
    heard = Observation(asked, f"the change came {told}" if moved else f"the change was asked for {told}")
    found = [shipped(name, order), person, address]
    return [*found, before, heard] if moved else found


def _reviewer(events: pd.DataFrame) -> str:
    """Who approved."""
    approvals = events[events["type"] == "order_approved"]["payload_json"].tolist()
    who = str(approvals[0]["approved_by"]) if approvals else "nobody"
    return "the timer" if who == "timer" else who


def _sent(history: pd.DataFrame, name: str) -> bool:
    """Whether a message of that name is in the history."""
    messages = history["type"].isin(["WORKFLOW_EXECUTION_SIGNALED", "WORKFLOW_EXECUTION_UPDATE_ACCEPTED"])
    return bool((messages & (history["name"] == name)).any())
