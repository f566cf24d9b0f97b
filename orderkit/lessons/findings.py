"""What several checks look for in the orders of a lab."""

from __future__ import annotations

from orderkit.core.events import EventType
from orderkit.errors import OrderNotFound
from orderkit.lab.display import Order
from orderkit.lab.lab import Lab
from orderkit.lessons.verdicts import Observation

DEADLINE_CAME_NEAR = "deadline came near"  # as OrderWorkflow says it


def not_started(name: str) -> Observation:
    """The cell above was left empty, or has another name in it."""
    return Observation(False, f"no order {name} was started in this notebook")


async def find(lab: Lab, name: str) -> Order | None:
    """The order as it is now, if this notebook started it.

    A kernel that has started no order is new: it takes the newest of that name on the stack, which the kernel before
    it may have started. Once it has started others, an old order would hide that the exercise's cell is empty.
    """
    if name not in lab.orders.started and lab.orders.started:
        return None
    try:
        return await lab.orders.status(name)
    except OrderNotFound:
        return None


async def ended(lab: Lab, name: str) -> Order | Observation:
    """The order, if it is there and has ended; else what is missing."""
    order = await find(lab, name)
    if order is None:
        return not_started(name)
    if order.outcome is None:
        return Observation(False, f"order {name} is {order.state}, it has not ended: wait for it")
    return order


def how(name: str, order: Order) -> str:
    """`order vase is failed, because of: …`."""
    reason = order.reason
    if DEADLINE_CAME_NEAR in reason:
        reason = reason.partition(":")[0]  # which attempt was under way then depends on the machine
    return f"order {name} is {order.outcome}" + (f", because of: {reason}" if reason else "")


def shipped(name: str, order: Order) -> Observation:
    """Whether it shipped, and why not."""
    return wanted(order.outcome == "shipped", how(name, order), "it should be shipped")


def wanted(ok: bool, found: str, right: str) -> Observation:
    """What was found, and where it is not right, what would be."""
    return Observation(ok, found if ok else f"{found}; {right}")


def times(count: int) -> str:
    """`once`, `3 times`."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def attempts(count: int) -> str:
    """`1 attempt`, `2 attempts`."""
    return f"{count} attempt{'s' * (count != 1)}"


def provider(deed: str, count: int) -> str:
    """`the payment provider never took the money`."""
    return f"the payment provider {deed} {times(count)}" if count else f"the payment provider never {deed}"


def took(count: int) -> Observation:
    """How often the payment provider took the money; once is right."""
    return wanted(count == 1, provider("took the money", count), "it should take it once")


async def paid_once(lab: Lab, name: str) -> Observation:
    """By the payment provider's ledger: charges without those that were refunded."""
    kinds = (await lab.orders.ledger(name))["kind"].tolist()
    return took(kinds.count("charge") - kinds.count("refund"))


async def faults_met(lab: Lab, name: str) -> dict[tuple[str, int], str]:
    """What the plan held for each attempt that was made, by step and number."""
    events = await lab.orders.events(name, full=True)
    starts = events[events["type"] == EventType.STEP_STARTED]
    return {
        (str(step), int(attempt)): payload.get("fault", "ok")
        for step, attempt, payload in zip(starts["step"], starts["attempt"], starts["payload_json"], strict=True)
    }


async def audit_is_clean(lab: Lab, *names: str) -> Observation:
    """Whether history, tables and ledgers agree about the orders."""
    findings = (await lab.audit(*names)).findings
    if not findings:
        return Observation(True, "the auditor finds nothing wrong")
    return Observation(False, f"the auditor finds: {', '.join(sorted({kind for _, kind, _ in findings}))}")
