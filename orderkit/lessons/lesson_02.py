"""Lesson 02's exercise: an order that moved before it was approved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orderkit.lab.lab import Lab
from orderkit.lessons.findings import find, not_started, shipped, wanted
from orderkit.lessons.verdicts import Observation, Verdict, verdict

if TYPE_CHECKING:
    import pandas as pd

_MESSAGES = ("WORKFLOW_EXECUTION_SIGNALED", "WORKFLOW_EXECUTION_UPDATE_ACCEPTED")
NOBODY = ("the timer", "no review", "nobody")


async def moved_before_approval(lab: Lab, name: str = "gift") -> Verdict:
    """An order whose address was changed by an update, then approved by a person, and that shipped."""
    hints = (
        f'start "{name}" as "chair" was started, and wait until it is in review; only then send a message',
        "an update is answered, a signal is not; approve after you have the answer",
        'in this order: start, wait(until="in_review"), change_address(…, via="update"), approve, wait',
    )
    found = await _look(lab, name)
    return verdict("moved_before_approval", found, hints, known=len(found) > 1)


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
    in_time = moved and _changed_before_approval(history)
    before = Observation(in_time, f"the address change came {'before' if in_time else 'after'} the approval")
    asked = _sent(history, "address")
    told = "by update: you heard the answer" if asked else "not by update: nobody told you whether it worked"
    heard = Observation(asked, f"the change came {told}")
    found = [shipped(name, order), person, address]
    return [*found, before, heard] if moved else found


def _reviewer(events: pd.DataFrame) -> str:
    """Who approved."""
    approvals = events[events["type"] == "order_approved"]["payload_json"].tolist()
    who = str(approvals[0]["approved_by"]) if approvals else "nobody"
    return "the timer" if who == "timer" else who


def _changed_before_approval(history: pd.DataFrame) -> bool:
    """By Temporal's history, which has both messages as they arrived; the event order_approved is written later."""
    names = history[history["type"].isin(_MESSAGES)]["name"].tolist()
    change, approval = (
        min((place for place, name in enumerate(names) if name in wanted), default=len(names))
        for wanted in (("address", "update_address"), ("review", "approve_order"))
    )
    return change < approval


def _sent(history: pd.DataFrame, name: str) -> bool:
    """Whether a message of that name is in the history."""
    return bool((history["type"].isin(_MESSAGES) & (history["name"] == name)).any())
