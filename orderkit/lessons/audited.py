"""What the checks of lessons 04 to 06 ask besides: the auditor's findings."""

from __future__ import annotations

from typing import Protocol

from orderkit.lessons.checks import Bench, SeenOrder
from orderkit.lessons.verdicts import Finding


class SeenAudit(Protocol):
    """What an audit found: (order, finding, evidence)."""

    @property
    def findings(self) -> tuple[tuple[str, str, str], ...]:
        """Every disagreement."""


class AuditedBench(Bench, Protocol):
    """A Lab that can audit."""

    async def audit(self, *orders: str) -> SeenAudit:
        """Of these orders."""


async def ended(lab: Bench, name: str) -> SeenOrder | Finding:
    """The order, if this notebook started it and it has ended; else what is missing."""
    if name not in lab.orders.started:
        return Finding(False, f"no order {name} was started in this notebook")
    order = await lab.orders.status(name)
    if order.outcome is None:
        return Finding(False, f"order {name} is {order.state}, it has not ended: wait for it")
    return order


def how(name: str, order: SeenOrder) -> str:
    """`order vase is failed, because of: …`."""
    return f"order {name} is {order.outcome}" + (f", because of: {order.reason}" if order.reason else "")


async def audit_is_clean(lab: AuditedBench, *names: str) -> Finding:
    """Whether history, tables and ledgers agree about the orders."""
    findings = (await lab.audit(*names)).findings
    if not findings:
        return Finding(True, "the auditor finds nothing wrong")
    return Finding(False, f"the auditor finds: {', '.join(sorted({kind for _, kind, _ in findings}))}")


def times(count: int) -> str:
    """`once`, `3 times`."""
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")
