"""Bodies and answers of the REST API, for the server and for `orderkit.client`; no FastAPI here.

What JSON Schema can say is said here, so that the OpenAPI document tells it; the rest is checked by `orderkit.core`.
One file, though long: the bodies share their fields, and together they are the document that people read.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, WithJsonSchema

from orderkit.core.faults import FaultKind, FaultPlan, Scenario
from orderkit.core.messages import CancelOrder, ReviewDecision, ReviewOrder, UpdateAddress
from orderkit.core.orders import (
    DEFAULT_ADDRESS,
    DEFAULT_ITEMS,
    MAX_DEADLINE_SECONDS,
    MAX_ITEMS,
    MAX_QUANTITY,
    MAX_UNIT_PRICE_CENTS,
    MIN_DEADLINE_SECONDS,
    ORDER_ID_PATTERN,
    Address,
    Item,
    OrderId,
    OrderInput,
    PaymentId,
    Review,
)
from orderkit.core.policies import DEFAULT_DEADLINE_SECONDS, POLICIES
from orderkit.core.ports import AttemptOutcome
from orderkit.core.steps import DECLINABLE, Step

# PostgreSQL holds no NUL, and no label or log wants the other control characters.
_ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
_NOT_BLANK = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*[!-~\u00a1-\uffff][^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
# Wider than letters alone, for want of \p{L} where JSON Schema's patterns are read; `orderkit.core` is exact.
_WITH_LETTER = (
    r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*[A-Za-z\u00c0-\u1fff\u2c00-\ud7ff][^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
)
_FAULT = rf"^({'|'.join(kind for kind in FaultKind if kind is not FaultKind.SLOW)}|slow\([0-9]{{1,6}}\))$"
_ZIP = r"^[A-Za-z0-9][A-Za-z0-9 -]{1,11}$"
_PRICE = r"^([1-9][0-9]{0,4}(\.[0-9]{1,2})?|0\.(0[1-9]|[1-9][0-9]?))$"
_PAYMENT_ID = rf"^({ORDER_ID_PATTERN})?$"
ORDER_ID = rf"^{ORDER_ID_PATTERN}$"
CURSOR = rf"^[0-9]{{1,16}}~{ORDER_ID_PATTERN}$"

# What to tell a person instead of the pattern.
PATTERN_HINTS = {
    _ONE_LINE: "must be printable text on one line",
    _NOT_BLANK: "must be printable text on one line, and not blank",
    _WITH_LETTER: "must be printable text on one line, with a letter",
    _FAULT: "is no fault; use error, hang, slow(250), ok …",
    _PRICE: "must be a price of 0.01 to 99999.99, with at most 2 decimals",
    _ZIP: "use 2 to 12 letters, digits, spaces or dashes",
    _PAYMENT_ID: "use 1 to 64 letters, digits, or . _ ~ - (starting with a letter or digit)",
    CURSOR: "take it from `next_cursor` of the page before, unchanged",
    ORDER_ID: "use 1 to 64 letters, digits, or . _ ~ - (starting with a letter or digit)",
}

Line = Annotated[str, Field(min_length=1, pattern=_NOT_BLANK)]
Person = Annotated[str, Field(min_length=1, max_length=500, pattern=_NOT_BLANK)]
Text = Annotated[str, Field(max_length=500, pattern=_ONE_LINE)]
FaultText = Annotated[str, Field(pattern=_FAULT, examples=["error", "hang", "slow(250)", "ok"])]
Seconds = Annotated[float, Field(strict=True, allow_inf_nan=False)]


def _whole(value: object) -> object:
    """To JSON Schema, 2.0 is an integer; a string or a boolean is none."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole), Field(strict=True)]


def _money(value: object) -> object:
    """JSON's numbers are binary: 0.1 + 0.2 means 0.3. What is really finer than a cent is left alone, and refused."""
    if isinstance(value, str) and not re.fullmatch(_PRICE, value):
        raise ValueError(PATTERN_HINTS[_PRICE])
    if isinstance(value, float) and abs(value) < MAX_UNIT_PRICE_CENTS and abs(value - round(value, 2)) < 1e-9:
        return round(value, 2)
    return value


_DEAREST = Decimal(MAX_UNIT_PRICE_CENTS) / 100
Money = Annotated[
    Decimal,
    BeforeValidator(_money),
    Field(ge=Decimal("0.01"), le=_DEAREST, decimal_places=2),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": _PRICE},
                {"type": "number", "minimum": 0.01, "maximum": float(_DEAREST), "multipleOf": 0.01},
            ],
            "description": "as a string or a number, at most 2 decimals",
            "examples": ["24.90"],
        }
    ),
]


class PolicyName(StrEnum):
    """A retry policy, by name."""

    SPEC = "spec"  # 3 attempts, growing waits
    BUDGET = "budget"  # short attempts and waits; the deadline bounds it


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ItemBody(_Body):
    """A line of an order."""

    sku: Annotated[Line, Field(max_length=64)]
    qty: Whole = Field(1, ge=1, le=MAX_QUANTITY)
    unit_price: Money = Decimal("10.00")

    def to_item(self) -> Item:
        """Whole cents."""
        return Item(sku=self.sku, quantity=self.qty, unit_price_cents=int(self.unit_price * 100))

    @classmethod
    def of(cls, item: Item) -> ItemBody:
        """The same line, as a body says it."""
        return cls(sku=item.sku, qty=item.quantity, unit_price=Decimal(item.unit_price_cents) / 100)


class AddressBody(_Body):
    """Where the package goes."""

    street: Annotated[Line, Field(max_length=120)]
    city: str = Field(min_length=1, max_length=80, pattern=_WITH_LETTER)
    state: Annotated[Line, Field(max_length=40)]
    zip: str = Field(pattern=_ZIP, description="2 to 12 letters, digits, spaces or dashes")
    country: Annotated[Line, Field(max_length=60)] = "US"
    name: Annotated[str, Field(max_length=80, pattern=_ONE_LINE)] = ""

    def to_address(self) -> Address:
        """As the domain says it."""
        return Address(**self.model_dump())

    @classmethod
    def of(cls, address: Address) -> AddressBody:
        """The same address, as a body says it."""
        return cls.model_validate(address, from_attributes=True)


def _faults_schema(step: Step) -> JsonValue:
    kinds = _FAULT if step in DECLINABLE else _FAULT.replace("|decline", "")
    return {"type": "array", "maxItems": 1000, "items": {"type": "string", "pattern": kinds}}


# Who can decline differs by step, which the types cannot say.
_SCRIPT_SCHEMA: dict[str, JsonValue] = {
    "type": "object",
    "properties": {step.value: _faults_schema(step) for step in Step},
    "additionalProperties": False,
}


class FaultsBody(_Body):
    """Which attempts fail, and how; the same plan gives the same failures every time."""

    scenario: Scenario = Scenario.CALM
    seed: Whole = Field(0, ge=0, le=2**53)
    script: Annotated[
        dict[Step, Annotated[list[FaultText], Field(max_length=1000)]], WithJsonSchema(_SCRIPT_SCHEMA)
    ] = Field(
        default_factory=dict,
        description="the faults of a step's attempts 1, 2, …",
        examples=[{"charge": ["error", "slow(250)", "ok"]}],
    )

    def to_plan(self) -> FaultPlan:
        """As the domain says it."""
        return FaultPlan(self.scenario, self.seed, {step.value: list(faults) for step, faults in self.script.items()})


class StartOrder(_Body):
    """A new order; every field has a default."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {},
                {
                    "payment_id": "pay-1001",
                    "items": [{"sku": "TEA-POT", "qty": 1, "unit_price": "24.90"}],
                    "initial_address": {
                        "street": "1 Main Street",
                        "city": "Springfield",
                        "state": "IL",
                        "zip": "62701",
                    },
                    "review": "human",
                    "policy": "budget",
                    "deadline": 15,
                    "faults": {"scenario": "workshop", "seed": 7, "script": {"charge": ["error", "ok"]}},
                },
            ]
        },
    )

    payment_id: str = Field(
        "", pattern=_PAYMENT_ID, description="idempotency key at the payment provider; else pay-{order_id}"
    )
    items: list[ItemBody] = Field([ItemBody.of(item) for item in DEFAULT_ITEMS], min_length=1, max_length=MAX_ITEMS)
    initial_address: AddressBody = AddressBody.of(DEFAULT_ADDRESS)
    review: Review = Field(
        Review.AUTO, description="auto: a timer approves; human: only a person does; none: no review"
    )
    review_seconds: Annotated[
        Seconds, Field(ge=0, le=MAX_DEADLINE_SECONDS, description="of the timer of review auto")
    ] = 2.0
    policy: PolicyName = PolicyName.SPEC
    deadline: Annotated[
        Seconds, Field(ge=MIN_DEADLINE_SECONDS, le=MAX_DEADLINE_SECONDS, description="seconds to the decision")
    ] = DEFAULT_DEADLINE_SECONDS
    faults: FaultsBody = FaultsBody()

    def to_order(self, order_id: str) -> OrderInput:
        """The argument of OrderWorkflow."""
        return OrderInput(
            order_id=OrderId(order_id),
            payment_id=PaymentId(self.payment_id),
            items=[item.to_item() for item in self.items],
            address=self.initial_address.to_address(),
            review=self.review,
            review_seconds=self.review_seconds,
            policy=POLICIES[self.policy],
            deadline_seconds=self.deadline,
            faults=self.faults.to_plan(),
        )


class CancelBody(_Body):
    """A request to cancel."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "changed my mind", "cancelled_by": "ada"}]})
    reason: Text = ""
    cancelled_by: Person

    def to_message(self) -> CancelOrder:
        """As the workflow takes it."""
        return CancelOrder(self.reason, self.cancelled_by)


class UpdateAddressBody(_Body):
    """A request to send the package elsewhere."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "new_address": {"street": "2 Side Street", "city": "Springfield", "state": "IL", "zip": "62702"},
                    "updated_by": "ada",
                }
            ]
        }
    )
    new_address: AddressBody
    updated_by: Person

    def to_message(self) -> UpdateAddress:
        """As the workflow takes it."""
        return UpdateAddress(self.new_address.to_address(), self.updated_by)


class DecisionBody(_Body):
    """A reviewer's signature under approve or reject."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reviewer": "grace", "note": "looks fine"}]})
    reviewer: Person
    note: Text = ""

    def to_message(self) -> ReviewDecision:
        """As the workflow takes it."""
        return ReviewDecision(self.reviewer, self.note)


class ReviewBody(DecisionBody):
    """A reviewer's decision."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"approve": True, "reviewer": "grace", "note": "looks fine"}]}
    )
    approve: bool = Field(strict=True)

    def to_review(self) -> ReviewOrder:
        """As the workflow takes it."""
        return ReviewOrder(self.approve, self.reviewer, self.note)


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class OrderStarted(_Answer):
    """The order is there; `created` is false when the same request had started it before."""

    order_id: str
    workflow_id: str
    amount: Decimal = Field(examples=["50.90"])
    created: bool


class MessageSent(_Answer):
    """The signal is in Temporal's history; what came of it is in the order's status and events."""

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


class OrderStatus(_Answer):
    """Where an order stands, by the database. `outcome` is null until the order has ended."""

    order_id: str
    state: State
    outcome: Outcome | None = None
    step: Step | None = Field(None, description="the step in hand; null before the first and after the last")
    attempts: dict[Step, int] = Field(default_factory=dict, description="attempts made, by step")
    errors: list[StepError] = Field(default_factory=list, description="the last five, newest first")
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


class Attempt(_Answer):
    """A row of trellis_attempts; `outcome` may also be running or lost."""

    step: Step
    attempt: int
    started_at: datetime
    ended_at: datetime | None
    duration_seconds: float | None
    outcome: Literal["completed", "failed", "timed_out", "cancelled", "running", "lost"]
    error: str
    worker: str
    workflow_id: str


class AttemptList(_Answer):
    """An order's attempts, in the order they started."""

    attempts: list[Attempt]


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
