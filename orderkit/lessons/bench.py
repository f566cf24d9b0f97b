"""What every check asks of a Lab, and what several of them find."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from orderkit.lessons.verdicts import Finding

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
    def last(self) -> SeenStatus | None:
        """All that the API said."""


class OrderBook(Protocol):
    """`lab.orders`. Frames without `full` have the columns that a notebook shows, else all of analysis.frames."""

    @property
    def started(self) -> Mapping[str, str]:
        """The orders of this notebook, by name."""

    async def status(self, order: str) -> SeenOrder:
        """Look at an order."""

    async def attempts(self, *orders: str, full: bool = False) -> pd.DataFrame:
        """Columns: step, attempt, outcome, error."""

    async def events(self, order: str, full: bool = False) -> pd.DataFrame:
        """Columns: type, step, attempt, outcome."""

    async def ledger(self, *orders: str, full: bool = False) -> pd.DataFrame:
        """Columns: who, kind, amount."""

    async def history(self, order: str, full: bool = False) -> pd.DataFrame:
        """Columns: workflow, type, name."""


class SeenAudit(Protocol):
    """What an audit found."""

    @property
    def findings(self) -> tuple[tuple[str, str, str], ...]:
        """Every disagreement: order, finding, evidence."""


class Bench(Protocol):
    """A Lab."""

    @property
    def orders(self) -> OrderBook:
        """Its orders."""

    async def audit(self, *orders: str) -> SeenAudit:
        """Compare histories, tables and ledgers of these orders."""


def not_started(name: str) -> Finding:
    """The cell above was left empty, has another name in it, or was run before the kernel started anew."""
    return Finding(False, f"no order {name} was started in this notebook")


async def ended(lab: Bench, name: str) -> SeenOrder | Finding:
    """The order, if this notebook started it and it has ended; else what is missing."""
    if name not in lab.orders.started:
        return not_started(name)
    order = await lab.orders.status(name)
    if order.outcome is None:
        return Finding(False, f"order {name} is {order.state}, it has not ended: wait for it")
    return order


def how(name: str, order: SeenOrder) -> str:
    """`order vase is failed, because of: …`."""
    return f"order {name} is {order.outcome}" + (f", because of: {order.reason}" if order.reason else "")


def shipped(name: str, order: SeenOrder) -> Finding:
    """Whether it shipped, and why not."""
    return Finding(order.outcome == "shipped", how(name, order))


def times(count: int) -> str:
    """`once`, `3 times`."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def attempts(count: int) -> str:
    """`1 attempt`, `2 attempts`."""
    return f"{count} attempt{'s' * (count != 1)}"


def provider(deed: str, count: int) -> str:
    """`the payment provider never took the money`."""
    return f"the payment provider {deed} {times(count)}" if count else f"the payment provider never {deed}"


def took(count: int) -> Finding:
    """How often the payment provider took the money; once is right."""
    return Finding(count == 1, provider("took the money", count))


async def paid_once(lab: Bench, name: str) -> Finding:
    """By the payment provider's ledger: charges without those that were refunded."""
    kinds = (await lab.orders.ledger(name))["kind"].tolist()
    return took(kinds.count("charge") - kinds.count("refund"))


async def faults_met(lab: Bench, name: str) -> dict[tuple[str, int], str]:
    """What the plan held for each attempt that was made, by step and number."""
    events = await lab.orders.events(name, full=True)
    starts = events[events["type"] == "step_started"]
    return {
        (str(step), int(attempt)): payload.get("fault", "ok")
        for step, attempt, payload in zip(starts["step"], starts["attempt"], starts["payload_json"], strict=True)
    }


async def audit_is_clean(lab: Bench, *names: str) -> Finding:
    """Whether history, tables and ledgers agree about the orders."""
    findings = (await lab.audit(*names)).findings
    if not findings:
        return Finding(True, "the auditor finds nothing wrong")
    return Finding(False, f"the auditor finds: {', '.join(sorted({kind for _, kind, _ in findings}))}")
