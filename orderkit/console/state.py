"""What the console knows: a fold over rows that were read. Pure; reads in any order, and twice, give the same state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property

from orderkit.core.events import AttemptState, EventType
from orderkit.core.orders import ENDS, Address, OrderState
from orderkit.core.steps import Step

STARTING = "starting"  # Temporal has the order, the database not yet
_UNDECIDED = frozenset({STARTING, OrderState.RECEIVED, OrderState.VALIDATED, OrderState.IN_REVIEW})
_MOST_ERRORS = 5
LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class EventRow:
    """A row of trellis_events; `detail` is its reason or note. The fields from `step` on are set for attempts only."""

    id: int
    order_id: str
    type: str
    ts: datetime
    detail: str = ""
    step: str | None = None
    attempt: int = 0
    outcome: str | None = None
    error: str = ""
    worker: str = ""
    run_id: str = ""
    activity_id: str = ""


@dataclass(frozen=True)
class OrderRow:
    """An order and what the payment provider's ledger says of it, at `read_at` by the database's clock."""

    order_id: str
    state: str
    read_at: datetime
    started_at: datetime
    deadline_seconds: float
    closed_at: datetime | None = None
    policy: str = ""
    scenario: str = ""
    review: str = ""
    address: Address | None = None
    amount_cents: int = 0
    charged_cents: int = 0
    refunded_cents: int = 0
    stop_reason: str = ""
    stopped_by: str = ""
    tracking: str = ""


@dataclass(frozen=True)
class ConsoleAttempt:
    """A row of the view trellis_attempts, with the attempt's outcome."""

    step: str
    number: int
    outcome: str  # a core.events.AttemptState
    error: str
    started_at: datetime
    ended_at: datetime | None
    worker: str


@dataclass(frozen=True)
class AttemptsRead:
    """All attempts of an order in the order they started, at `read_at` by the database's clock."""

    order_id: str
    read_at: datetime
    attempts: tuple[ConsoleAttempt, ...]


@dataclass(frozen=True)
class Change:
    """What one read brought."""

    orders: tuple[OrderRow, ...] = ()
    events: tuple[EventRow, ...] = ()
    attempts: tuple[AttemptsRead, ...] = ()
    others: int | None = None  # how many orders were not read; None: as many as before


@dataclass(frozen=True)
class StepProgress:
    """How often a step was tried, and how its last attempt went."""

    attempts: int
    outcome: str


@dataclass(frozen=True)
class ConsoleOrder:
    """One order: its newest row, its attempts, and all its events known."""

    order_id: str
    row: OrderRow | None = None
    events: Mapping[int, EventRow] = field(default_factory=dict)
    attempts_read: AttemptsRead | None = None

    @property
    def state(self) -> str:
        """As in the database; `starting` before it is there."""
        return self.row.state if self.row else STARTING

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self.state in ENDS

    @property
    def undecided(self) -> bool:
        """Whether a review may still say yes or no."""
        return self.state in _UNDECIDED

    @cached_property
    def history(self) -> tuple[EventRow, ...]:
        """Its events, oldest first."""
        return tuple(self.events[number] for number in sorted(self.events))

    @cached_property
    def started_at(self) -> datetime:
        """When its workflow started, or the first thing that is known."""
        if self.row:
            return self.row.started_at
        return self.history[0].ts if self.history else LONG_AGO

    @property
    def attempts(self) -> tuple[ConsoleAttempt, ...]:
        """In the order they started."""
        return self.attempts_read.attempts if self.attempts_read else ()

    @cached_property
    def steps(self) -> Mapping[str, StepProgress]:
        """Each step that was tried, in the order of the lifecycle."""
        tried: dict[str, StepProgress] = {}
        for attempt in self.attempts:
            before = tried.get(attempt.step)
            tried[attempt.step] = StepProgress(before.attempts + 1 if before else 1, attempt.outcome)
        return {step.value: tried[step] for step in Step if step in tried}

    @property
    def step(self) -> str:
        """The step in hand, else the last one; empty before the first."""
        return next((a.step for a in reversed(self.attempts) if a.step != Step.ADDRESS), "")

    @property
    def errors(self) -> tuple[ConsoleAttempt, ...]:
        """The last attempts that did not succeed, newest first."""
        bad = [
            attempt
            for attempt in reversed(self.attempts)
            if attempt.outcome not in (AttemptState.COMPLETED, AttemptState.RUNNING)
        ]
        return tuple(bad[:_MOST_ERRORS])

    def seconds(self, at: datetime) -> float:
        """Seconds since the order's start."""
        return (at - self.started_at).total_seconds()

    def left_seconds(self, now: datetime) -> float | None:
        """Until its deadline, never below 0; None when it has ended or nothing is known."""
        if self.row is None or self.closed:
            return None
        return min(self.row.deadline_seconds, max(0.0, self.row.deadline_seconds - self.seconds(now)))

    @property
    def failing(self) -> str:
        """The error that its workflow fails with, and the line; empty while it does not, or once it has ended."""
        notes = (EventType.WORKFLOW_FAILING, EventType.WORKFLOW_RECOVERED)
        last = next((event for event in reversed(self.history) if event.type in notes), None)
        return last.detail if last and last.type == EventType.WORKFLOW_FAILING and not self.closed else ""

    @property
    def kept_cents(self) -> int:
        """What the payment provider has of the customer's money."""
        return self.row.charged_cents - self.row.refunded_cents if self.row else 0

    @property
    def money_is_right(self) -> bool | None:
        """Shipped and charged once, or ended otherwise and nothing kept; None while it is open."""
        if self.row is None or not self.closed:
            return None
        return self.kept_cents == (self.row.amount_cents if self.state == OrderState.SHIPPED else 0)

    @property
    def late(self) -> bool:
        """Whether it ended after its deadline."""
        row = self.row
        return bool(row and row.closed_at and self.closed and self.seconds(row.closed_at) > row.deadline_seconds)

    @property
    def wrong(self) -> bool:
        """Whether its own page says so: its money, its lateness, or its workflow, which fails."""
        return self.money_is_right is False or self.late or bool(self.failing)


@dataclass(frozen=True)
class Balance:
    """The provider's ledger over the console's orders, in cents. `open_cents`: kept for orders that have not ended."""

    charged_cents: int = 0
    refunded_cents: int = 0
    open_cents: int = 0

    @property
    def kept_cents(self) -> int:
        """Charged and not given back."""
        return self.charged_cents - self.refunded_cents


@dataclass(frozen=True)
class ConsoleState:
    """Everything the console shows."""

    orders: Mapping[str, ConsoleOrder] = field(default_factory=dict)
    selected: str | None = None
    trouble: str | None = "connecting to PostgreSQL"  # None: news is pushed; else why not
    workers: int | None = None  # None: not known
    extra_workers: tuple[str, ...] = ()  # beside the lab's own, by name
    others: int = 0  # older orders, which the console has not read

    def after(self, change: Change) -> ConsoleState:
        """The state once the console has read this. Orders that it doesn't touch stay the same objects."""
        orders = dict(self.orders)
        for row in change.orders:
            order = orders.get(row.order_id) or ConsoleOrder(row.order_id)
            if order.row is None or _newer(row, order.row):
                orders[row.order_id] = replace(order, row=row)
        for read in change.attempts:
            order = orders.get(read.order_id) or ConsoleOrder(read.order_id)
            if order.attempts_read is None or _newer(read, order.attempts_read):
                orders[read.order_id] = replace(order, attempts_read=read)
        for order_id, events in _by_order(change.events).items():
            order = orders.get(order_id) or ConsoleOrder(order_id)
            if any(event.id not in order.events for event in events):
                orders[order_id] = replace(order, events={**order.events, **{event.id: event for event in events}})
        return replace(self, orders=orders, others=self.others if change.others is None else change.others)

    @property
    def covered(self) -> str:
        """Which orders counts and sums are of: `all 7 orders`, or `the newest 60 of 1,234 orders`."""
        known = len(self.orders)
        if self.others:
            return f"the newest {known:,} of {known + self.others:,} orders"
        return f"all {known:,} orders"

    @property
    def selection(self) -> ConsoleOrder | None:
        """The selected order."""
        return self.orders.get(self.selected) if self.selected else None

    @property
    def newest_first(self) -> list[ConsoleOrder]:
        """All orders."""
        return sorted(self.orders.values(), key=lambda order: (order.started_at, order.order_id), reverse=True)

    @property
    def counts(self) -> dict[str, int]:
        """Orders by end; those that have none count as `running`."""
        counted = {"running": 0} | {end.value: 0 for end in OrderState if end in ENDS}
        for order in self.orders.values():
            counted[order.state if order.closed else "running"] += 1
        return counted

    @property
    def balance(self) -> Balance:
        """What the payment provider took and gave back."""
        rows = [order.row for order in self.orders.values() if order.row]
        return Balance(
            charged_cents=sum(row.charged_cents for row in rows),
            refunded_cents=sum(row.refunded_cents for row in rows),
            open_cents=sum(order.kept_cents for order in self.orders.values() if not order.closed),
        )

    @property
    def wrong(self) -> tuple[str, ...]:
        """Orders whose money is not right, that ended after their deadline, or whose workflow fails; by name."""
        return tuple(sorted(order_id for order_id, order in self.orders.items() if order.wrong))


def _newer(row: OrderRow | AttemptsRead, than: OrderRow | AttemptsRead) -> bool:
    """The database's clock decides; at the same instant, anything fixed will do."""
    return (row.read_at, repr(row)) > (than.read_at, repr(than))


def _by_order(events: Iterable[EventRow]) -> dict[str, list[EventRow]]:
    grouped: dict[str, list[EventRow]] = {}
    for event in events:
        grouped.setdefault(event.order_id, []).append(event)
    return grouped
