"""Lesson 05's exercise: an order that was paid, and is then cancelled."""

from __future__ import annotations

from orderkit.lab.lab import Lab
from orderkit.lessons.findings import audit_is_clean, ended, how, provider, took, wanted
from orderkit.lessons.verdicts import Observation, Verdict, verdict

_MESSAGES = ("WORKFLOW_EXECUTION_SIGNALED", "WORKFLOW_EXECUTION_UPDATE_ACCEPTED")


async def paid_then_cancelled(lab: Lab, name: str = "vase") -> Verdict:
    """The order is cancelled by a person; charged once and refunded once."""
    hints = (
        f'start an order "{name}", and cancel it between charge and dispatch; all of it in one cell',
        "without a fault the order ships before you can cancel it: let prepare hang, as in round 4",
        f'wait for the charge, then cancel: await lab.orders.wait("{name}", until="charged"), then '
        f'await lab.orders.cancel("{name}"), then wait for the end',
    )
    found = await _look(lab, name)
    return verdict("paid_then_cancelled", found, hints, known=len(found) > 1)


async def _look(lab: Lab, name: str) -> list[Observation]:
    order = await ended(lab, name)
    if isinstance(order, Observation):
        return [order]
    cancelled = wanted(order.outcome == "cancelled", how(name, order), "it should be cancelled")
    history = await lab.orders.history(name, full=True)
    asked = Observation(bool(history["type"].isin(_MESSAGES).any()), "Temporal's history has your message")
    if not asked.ok:
        asked = Observation(False, "Temporal's history has no cancel message: nobody asked to cancel")
    kinds = (await lab.orders.ledger(name))["kind"].tolist()
    charges, refunds = kinds.count("charge"), kinds.count("refund")
    paid = took(charges)
    if not charges and order.outcome == "cancelled":
        paid = Observation(False, "the payment provider never took the money: you cancelled before the charge")
    returned = wanted(refunds == 1, provider("gave it back", refunds), "it should give it back once")
    return [cancelled, asked, paid, returned, await audit_is_clean(lab, name)]
