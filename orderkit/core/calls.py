"""The arguments and results of the activities, and the identity of one attempt."""

from dataclasses import dataclass, field
from datetime import datetime

from orderkit.core.faults import FaultPlan
from orderkit.core.messages import Stop, StopKind, UpdateAddress
from orderkit.core.orders import OrderId, OrderInput, PaymentId
from orderkit.core.policies import Policy
from orderkit.core.steps import Step


@dataclass(frozen=True)
class Attempt:
    """One attempt of one step of one order; attempts count from 1 over all activities for it."""

    order_id: OrderId
    step: Step
    number: int
    faults: FaultPlan


@dataclass(frozen=True, kw_only=True)
class StepInput:
    """The input of every activity. `prior_attempts`: attempts of earlier activities for the same step."""

    order_id: OrderId
    faults: FaultPlan
    prior_attempts: int = 0


@dataclass(frozen=True, kw_only=True)
class OrderStepInput(StepInput):
    """For receive and validate: the whole order, and when its workflow started."""

    order: OrderInput
    started_at: datetime
    first_run_id: str = ""  # of the workflow; a reset keeps it, another workflow has another


@dataclass(frozen=True, kw_only=True)
class ChargeInput(StepInput):
    """For charge: the approval goes in with the money. Amounts in cents."""

    payment_id: PaymentId
    amount_cents: int
    approved_by: str
    note: str


@dataclass(frozen=True, kw_only=True)
class AddressInput(StepInput):
    """For an address change; `superseded` counts the messages that this one overtook."""

    change: UpdateAddress
    superseded: int = 0


@dataclass(frozen=True, kw_only=True)
class StopInput(StepInput):
    """For stop. Carries the order, since a stop may come before its row exists; None when there is a row for sure."""

    order: OrderInput | None
    started_at: datetime
    stop: Stop
    first_run_id: str = ""


@dataclass(frozen=True, kw_only=True)
class RefundInput(StepInput):
    """For refund: the idempotency key to void."""

    payment_id: PaymentId


@dataclass(frozen=True, kw_only=True)
class CloseInput(StepInput):
    """For close: the end that the stop asked for."""

    kind: StopKind
    reason: str


@dataclass(frozen=True)
class StopResult:
    """`stopped` is False when the carrier already has the package: too late.

    `stop` is what the database holds: an earlier stop, or this one with a better reason. None from older workers.
    """

    stopped: bool
    stop: Stop | None = None


@dataclass(frozen=True)
class AddressResult:
    """`changed` is False when the order was already dispatched or stopped."""

    changed: bool
    reason: str = ""


@dataclass(frozen=True)
class RefundResult:
    """What went through and what was given back, in cents."""

    charged_cents: int
    refunded_cents: int


@dataclass(frozen=True)
class DispatchResult:
    """The carrier's tracking code."""

    tracking: str


@dataclass(frozen=True)
class ShippingInput:
    """The argument of ShippingWorkflow; `prior_attempts` maps a step to the attempts of earlier runs."""

    order_id: OrderId
    faults: FaultPlan
    policy: Policy
    run: int = 1
    prior_attempts: dict[Step, int] = field(default_factory=dict)


@dataclass(frozen=True)
class RefusalInput:
    """A message that an order refused, `count` times: its name and why, never its content."""

    order_id: OrderId
    message: str
    reason: str
    count: int


@dataclass(frozen=True)
class StrandedOrder:
    """An open order whose workflow has ended from outside, or is gone."""

    order_id: OrderId
    payment_id: PaymentId
    workflow_status: str


@dataclass(frozen=True)
class ReconcileInput:
    """The argument of ReconcileWorkflow. `most` bounds one run; the next one takes the rest."""

    most: int = 100


@dataclass(frozen=True)
class ReconcileResult:
    """Each settled order with its new state."""

    settled: dict[str, str] = field(default_factory=dict)
