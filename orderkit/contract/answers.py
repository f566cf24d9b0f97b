"""What the API answers."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from orderkit.core.events import AttemptOutcome, AttemptState
from orderkit.core.faults import Scenario
from orderkit.core.orders import Review
from orderkit.core.steps import Step


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class OrderStarted(_Answer):
    """The order is there; `created` is false when the same request had started it before."""

    order_id: str
    workflow_id: str
    amount: Decimal = Field(examples=["50.90"])
    created: bool


class MessageSent(_Answer):
    """The signal is in Temporal's history; its effect is in the order's status and events."""

    order_id: str
    sent: Literal["cancel", "update-address", "approve", "reject"]


class UpdateDone(_Answer):
    """The order accepted the message and carried it out."""

    order_id: str
    message: str


class StepError(_Answer):
    """An attempt that did not succeed; `outcome` lost: its worker died, or its answer came too late."""

    step: Step
    attempt: int
    outcome: Literal["failed", "timed_out", "cancelled", "lost"]
    error: str
    ts: datetime


class Payment(_Answer):
    """What orderkit believes about the payment."""

    status: Literal["pending", "charged", "declined", "refunded", "voided"]
    amount: Decimal = Field(examples=["50.90"])


Outcome = Literal["shipped", "cancelled", "rejected", "failed"]
State = Literal[
    "starting",  # Temporal has the order, the database not yet
    "received",
    "validated",
    "in_review",
    "approved",
    "charged",
    "prepared",
    "dispatched",
    "shipped",
    "compensating",
    "cancelled",
    "rejected",
    "failed",
]


class FailingWorkflow(_Answer):
    """A workflow of the order whose task fails: it stands still and receives nothing until its code is corrected."""

    workflow_id: str
    error: str = Field(examples=["TypeError: unsupported operand type(s)"])
    where: str = Field(
        description="the line of code; empty where it is not known", examples=["order.py, line 83, in run"]
    )


class OrderStatus(_Answer):
    """Where an order stands, by the database. `outcome` is null until the order has ended."""

    order_id: str
    state: State
    outcome: Outcome | None = None
    step: Step | None = Field(None, description="the step in hand; null before the first and after the last")
    attempts: dict[Step, int] = Field(default_factory=dict, description="attempts made, by step")
    errors: list[StepError] = Field(default_factory=list, description="the last five, newest first")
    failing: FailingWorkflow | None = Field(None, description="set while the order's workflow fails")
    deadline_seconds: float | None = None
    deadline_left_seconds: float | None = Field(None, description="null once the order has ended")
    within_deadline: bool | None = Field(None, description="null until the order has ended")
    stop_reason: str | None = None
    stopped_by: str | None = None
    amount: Decimal | None = Field(None, examples=["50.90"])
    payment: Payment | None = None
    tracking: str | None = None
    review: Review | None = None
    policy: str | None = None
    scenario: Scenario | None = None
    workflow_id: str
    started_at: datetime | None = None
    updated_at: datetime | None = None
    closed_at: datetime | None = None


class OrderLine(_Answer):
    """An order in a list."""

    order_id: str
    state: State
    policy: str
    scenario: Scenario
    amount: Decimal
    stop_reason: str | None
    created_at: datetime
    closed_at: datetime | None
    duration_seconds: float | None
    deadline_seconds: float


class OrderPage(_Answer):
    """Orders, newest first; `next_cursor` is null on the last page."""

    orders: list[OrderLine]
    next_cursor: str | None
    total: int | None = Field(None, description="how many there are on all pages; told on the first page only")


class Event(_Answer):
    """A row of trellis_events; the fields from `step` on are set for attempts only."""

    id: int
    order_id: str
    ts: datetime
    type: str
    payload: dict[str, JsonValue]
    step: Step | None
    attempt: int | None
    outcome: AttemptOutcome | None
    error: str | None
    worker: str | None
    workflow_id: str | None


class EventPage(_Answer):
    """Events, oldest first; `next_after` is null on the last page."""

    events: list[Event]
    next_after: int | None


class AttemptLine(_Answer):
    """A row of trellis_attempts."""

    step: Step
    attempt: int
    started_at: datetime
    ended_at: datetime | None
    duration_seconds: float | None
    outcome: AttemptState
    error: str
    worker: str
    workflow_id: str


class AttemptList(_Answer):
    """An order's attempts, in the order they started."""

    attempts: list[AttemptLine]


class HistoryEvent(_Answer):
    """An event of Temporal's history, without its payloads."""

    id: int
    ts: datetime
    type: str = Field(examples=["ACTIVITY_TASK_SCHEDULED"])
    attributes: dict[str, JsonValue]


class History(_Answer):
    """A workflow's history in Temporal; `next_after` is null on the last page."""

    workflow_id: str
    run_id: str
    status: str = Field(examples=["RUNNING"])
    events: list[HistoryEvent]
    next_after: int | None


class StreamEnd(_Answer):
    """The last message of a stream."""

    state: State


class DependencyHealth(_Answer):
    """One server that the API needs."""

    ok: bool
    detail: str = Field("", description="what is wrong, and what to do")
    latency_ms: float | None = None


class Health(_Answer):
    """What the background check saw last."""

    status: Literal["ok", "degraded"]
    database: DependencyHealth
    temporal: DependencyHealth
    pollers: dict[str, int] = Field(
        description="live workers on each task queue", examples=[{"order-tq": 1, "shipping-tq": 1}]
    )
    checked_at: datetime


class FieldProblem(_Answer):
    """What is wrong with one field."""

    field: str
    message: str


class ProblemDocument(BaseModel):
    """An error, as application/problem+json (RFC 9457)."""

    type: str = Field(examples=["urn:orderkit:order-not-found"])
    title: str
    status: int
    detail: str
    dependency: Literal["postgresql", "temporal", "worker", "api"] | None = None
    errors: list[FieldProblem] | None = None
