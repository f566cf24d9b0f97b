"""Checks of the exercises. They look at what the orders did and what history says, never at the learner's text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from orderkit.lessons.verdicts import Finding, Verdict, verdict

if TYPE_CHECKING:
    import pandas as pd


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


class OrderBook(Protocol):
    """What checks ask of `lab.orders`."""

    @property
    def started(self) -> Mapping[str, str]:
        """The orders of this notebook, by name."""

    async def status(self, order: str) -> SeenOrder:
        """Look at an order."""

    async def attempts(self, *orders: str) -> pd.DataFrame:
        """Columns: step, attempt, outcome, error."""

    async def ledger(self, *orders: str) -> pd.DataFrame:
        """Columns: who, kind, amount."""

    async def history(self, order: str, full: bool) -> pd.DataFrame:
        """Columns: type, name, attempt and more."""


class Bench(Protocol):
    """What checks ask of a Lab."""

    @property
    def orders(self) -> OrderBook:
        """Its orders."""


async def two_failed_charges(lab: Bench, name: str = "refill") -> Verdict:
    """Lesson 00: an order whose charge fails twice, and that ships; charged once."""
    hints = (
        f'start it as in round 4, under the name "{name}", and wait for its end',
        "faults= names a step, then what happens to its attempts 1, 2, 3 …",
        'the third attempt of charge must go through: "charge=" and then three words, the last of them ok',
    )
    return verdict("two_failed_charges", await _two_failed_charges(lab.orders, name), hints)


async def _two_failed_charges(orders: OrderBook, name: str) -> list[Finding]:
    if name not in orders.started:
        return [Finding(False, f"no order {name} was started in this notebook")]
    order = await orders.status(name)
    if order.outcome is None:
        return [Finding(False, f"order {name} is {order.state}, it has not ended: wait for it")]
    why = f", because of: {order.reason}" if order.reason else ""
    shipped = Finding(order.outcome == "shipped", f"order {name} is {order.outcome}{why}")
    attempts = await orders.attempts(name)
    charges = attempts[attempts["step"] == "charge"]["outcome"].tolist()
    failures = sum(outcome in ("failed", "timed_out", "lost") for outcome in charges)
    wanted = "" if failures == 2 else "; it should be 2"
    charge = Finding(failures == 2, f"charge had {_count(charges)}, {failures} of them in vain{wanted}")
    others = sorted(set(attempts[attempts["outcome"] != "completed"]["step"]) - {"charge"})
    only = Finding(not others, f"no other step failed{': but ' + ', '.join(others) + ' did' if others else ''}")
    history = await orders.history(name, True)
    started = history[(history["type"] == "ACTIVITY_TASK_STARTED") & (history["name"] == "charge_payment_activity")]
    tried = int(started["attempt"].max()) if len(started) else 0
    seen = Finding(tried == 3, f"Temporal's history says that attempt {tried} of charge was its last")
    ledger = await orders.ledger(name)
    paid = int((ledger["kind"] == "charge").sum()) - int((ledger["kind"] == "refund").sum())
    once = Finding(paid == 1, f"the payment provider took the money {'once' if paid == 1 else f'{paid} times'}")
    return [shipped, charge, only, seen, once]


def _count(outcomes: list[str]) -> str:
    return f"{len(outcomes)} attempt{'s' * (len(outcomes) != 1)}"
