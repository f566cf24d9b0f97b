"""The auditor's rules: pure functions from the facts of one order to findings, each with its evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from orderkit.audit.facts import OrderFacts
from orderkit.core.events import ONCE, STATE_EVENTS, AttemptOutcome, EventType
from orderkit.core.orders import ENDS, FORWARD, OrderState


class FindingKind(StrEnum):
    """What disagrees."""

    CHARGED_NOT_SHIPPED = "charged_not_shipped"  # the money was kept, nothing is with the carrier
    SHIPPED_NOT_CHARGED = "shipped_not_charged"  # the carrier has it, nothing was paid
    CHARGED_TWICE = "charged_twice"  # more than one charge stands
    REFUND_MISSING = "refund_missing"  # not shipped, and the money did not come back
    WRONG_AMOUNT = "wrong_amount"  # paid is not what the order costs
    PACKAGE_OUT = "package_out"  # not shipped, and yet the carrier has the package
    WRONG_LABEL = "wrong_label"  # the label's address is not the order's
    PAYMENT_DISAGREES = "payment_disagrees"  # trellis_payments says other than the provider
    DUPLICATE_EVENT = "duplicate_event"  # something that happens once is recorded twice
    MISSING_EVENT = "missing_event"  # something happened and left no event
    STATE_UNSUPPORTED = "state_unsupported"  # the state is not what Temporal's history says
    STRANDED = "stranded"  # the workflow is gone, the order still open
    PAST_DEADLINE = "past_deadline"  # decided too late, or not yet
    WORKFLOW_FAILING = "workflow_failing"  # the order stands still: its workflow task fails, and is tried again
    UNKNOWN_ORDER = "unknown_order"  # the outside world knows an order that we do not


@dataclass(frozen=True)
class Finding:
    """One disagreement."""

    order_id: str
    kind: FindingKind
    evidence: str


# What Temporal says of a workflow, for each end of an order.
SUPPORTED = {
    OrderState.SHIPPED: {"completed"},
    OrderState.CANCELLED: {"completed", "canceled"},
    OrderState.REJECTED: {"completed"},
    OrderState.FAILED: {"failed"},
}
# A workflow that was ended from outside says nothing about the order; reconcile settles such an order.
ENDED_FROM_OUTSIDE = frozenset({"terminated", "timed_out"})


# The row has its end before the workflow hears of it; an answer that was lost on the way is asked for again.
SETTLING_SECONDS = 10.0


def judge(order: OrderFacts) -> list[Finding]:
    """Every disagreement about one order."""
    return [Finding(order.order_id, kind, evidence) for rule in RULES for kind, evidence in rule(order)]


Found = Iterator[tuple[FindingKind, str]]


def _money(order: OrderFacts) -> Found:
    """Shipped if and only if charged once."""
    entries = ", ".join(f"{m.kind} {m.cents / 100:.2f}" for m in order.money) or "empty"
    ledger = f"state {order.state}, the payment provider's ledger: {entries}"  # the carrier has one of its own
    standing = Counter(m.key for m in order.money if m.kind == "charge")
    standing.subtract(Counter(m.key for m in order.money if m.kind == "refund"))
    if sum(count for count in standing.values() if count > 0) > 1:
        yield FindingKind.CHARGED_TWICE, ledger
    elif order.state is OrderState.SHIPPED and order.balance_cents == 0 and order.amount_cents:
        yield FindingKind.SHIPPED_NOT_CHARGED, ledger
    elif order.state is OrderState.SHIPPED and order.balance_cents != order.amount_cents:
        yield FindingKind.WRONG_AMOUNT, f"{ledger}; the order costs {order.amount_cents / 100:.2f}"
    elif order.state in ENDS - {OrderState.SHIPPED} and order.balance_cents != 0:
        yield FindingKind.REFUND_MISSING, ledger
    elif order.balance_cents != 0 and not order.packages_out and _is_over(order):
        yield FindingKind.CHARGED_NOT_SHIPPED, f"{ledger}; {_workflow(order)}"


def _packages(order: OrderFacts) -> Found:
    """Shipped if and only if the carrier has one package, labelled with the order's address."""
    if order.state is OrderState.SHIPPED and order.packages_out != 1:
        yield FindingKind.STATE_UNSUPPORTED, f"state shipped, the carrier has {order.packages_out} packages"
    if order.state in ENDS - {OrderState.SHIPPED} and order.packages_out:
        yield FindingKind.PACKAGE_OUT, f"state {order.state}, the carrier has {order.packages_out} package(s)"
    if order.state is OrderState.SHIPPED:
        for shipment in order.shipments:
            if shipment.out and shipment.label != order.address:
                differing = sorted(k for k in order.address if (shipment.label or {}).get(k) != order.address[k])
                yield FindingKind.WRONG_LABEL, f"label and order differ in {', '.join(differing)}"


def _payments(order: OrderFacts) -> Found:
    """Our own record of the payment is what the provider's ledger says."""
    if order.state not in ENDS:
        return
    for payment in order.payments:
        kinds = {m.kind for m in order.money if m.key == payment.payment_id} - {"refused", "void"}
        expected = {"charged": {"charge"}, "refunded": {"charge", "refund"}}.get(payment.status, set())
        if kinds != expected:
            said = ", ".join(sorted(kinds)) or "nothing"
            yield FindingKind.PAYMENT_DISAGREES, f"payment is {payment.status}, the provider's ledger has {said}"


def _events(order: OrderFacts) -> Found:
    """Each state left its event, once; each attempt its start and its end, once."""
    types = Counter(event.type for event in order.events if event.step is None)
    for name, count in types.items():
        if count > 1 and name in ONCE:
            yield FindingKind.DUPLICATE_EVENT, f"{name} is recorded {count} times"
    for state in _states_passed(order):
        if not types[STATE_EVENTS[state]]:
            yield FindingKind.MISSING_EVENT, f"state {order.state} without the event {STATE_EVENTS[state]}"
    rows = Counter((e.run_id, e.activity_id, e.attempt, e.type) for e in order.events if e.step is not None)
    for (_, activity_id, attempt, name), count in rows.items():
        if count > 1:
            yield FindingKind.DUPLICATE_EVENT, f"{name} of activity {activity_id}, attempt {attempt}: {count} times"
    starts = {(e.run_id, e.activity_id, e.attempt) for e in order.events if e.type == EventType.STEP_STARTED}
    for event in order.events:
        if event.type == EventType.STEP_ENDED and (event.run_id, event.activity_id, event.attempt) not in starts:
            yield FindingKind.MISSING_EVENT, f"{event.step}, attempt {event.attempt}, ended without a start"


def _states_passed(order: OrderFacts) -> list[OrderState]:
    skipped = {OrderState.IN_REVIEW}
    if order.state in FORWARD:
        return [state for state in FORWARD[: FORWARD.index(order.state) + 1] if state not in skipped]
    stopped = [OrderState.RECEIVED, OrderState.COMPENSATING]
    return stopped if order.state is OrderState.COMPENSATING else [*stopped, order.state]


def _history(order: OrderFacts) -> Found:
    """The state is what the workflow says; what Temporal saw complete, the events saw complete."""
    history = order.history
    if history is None:
        return
    just_closed = history.status == "running" and (order.closed_since_seconds or 0) < SETTLING_SECONDS
    if order.state in ENDS and not just_closed and history.status not in SUPPORTED[order.state] | ENDED_FROM_OUTSIDE:
        yield FindingKind.STATE_UNSUPPORTED, f"state {order.state}, but {_workflow(order)}"
    if order.state in ENDS and history.outcome not in (None, order.state):
        yield FindingKind.STATE_UNSUPPORTED, f"state {order.state}, but the workflow's result says {history.outcome}"
    recorded = {
        (e.run_id, e.activity_id): e
        for e in order.events
        if e.type == EventType.STEP_ENDED and e.outcome == AttemptOutcome.COMPLETED
    }
    for activity in history.activities:
        if activity.outcome == "completed" and (activity.run_id, activity.activity_id) not in recorded:
            yield FindingKind.MISSING_EVENT, f"Temporal saw {activity.step} complete, no event did"
    starts = [event for event in order.events if event.type == EventType.STEP_STARTED]
    known = Counter((e.run_id, e.activity_id) for e in starts)
    reset = {(e.run_id, e.activity_id) for e in starts if e.reset}
    for activity in history.activities:
        seen = known[(activity.run_id, activity.activity_id)]
        # The history has the number of attempts only if the activity was not ended from outside.
        # It has none of them where the activity's time altogether was over between two attempts.
        by_itself = activity.outcome in ("completed", "failed") or (
            activity.outcome == "timed_out" and activity.attempts > 0
        )
        if by_itself and (activity.run_id, activity.activity_id) not in reset and seen > activity.attempts:
            yield (
                FindingKind.DUPLICATE_EVENT,
                f"{activity.step} had {activity.attempts} attempts in Temporal, {seen} in the events",
            )


def _ending(order: OrderFacts) -> Found:
    """Every order ends, in time."""
    if order.state not in ENDS and _is_over(order):
        yield FindingKind.STRANDED, f"state {order.state}, but {_workflow(order)}"
    elif order.age_seconds > order.deadline_seconds:
        what = "decided after" if order.state in ENDS else "still open after"
        yield (
            FindingKind.PAST_DEADLINE,
            f"{what} {order.age_seconds:.1f} s; the deadline is {order.deadline_seconds:g} s",
        )


def _failing(order: OrderFacts) -> Found:
    """The code of every running workflow does its work."""
    if order.history is not None and order.history.failing:
        yield FindingKind.WORKFLOW_FAILING, order.history.failing


def _is_over(order: OrderFacts) -> bool:
    return order.history is None or order.history.status not in ("running", "continued_as_new")


def _workflow(order: OrderFacts) -> str:
    return "Temporal has no history" if order.history is None else f"the workflow is {order.history.status}"


RULES: tuple[Callable[[OrderFacts], Found], ...] = (
    _money,
    _packages,
    _payments,
    _events,
    _history,
    _ending,
    _failing,
)
