"""The vocabulary of trellis_events: every event's type, the step that writes it, and how attempts end."""

from enum import StrEnum

from orderkit.core.orders import OrderState
from orderkit.core.steps import Step


class EventType(StrEnum):
    """What happened; `trellis_events.type`."""

    ORDER_RECEIVED = "order_received"
    ORDER_VALIDATED = "order_validated"
    REVIEW_OPENED = "review_opened"
    ORDER_APPROVED = "order_approved"
    PAYMENT_CHARGED = "payment_charged"
    PAYMENT_DECLINED = "payment_declined"
    PACKAGE_PREPARED = "package_prepared"
    CARRIER_DISPATCHED = "carrier_dispatched"
    ORDER_SHIPPED = "order_shipped"
    ADDRESS_CHANGED = "address_changed"
    ORDER_STOPPED = "order_stopped"
    SHIPMENT_RECALLED = "shipment_recalled"
    PAYMENT_REFUNDED = "payment_refunded"
    PAYMENT_VOIDED = "payment_voided"
    ORDER_CANCELLED = "order_cancelled"
    ORDER_REJECTED = "order_rejected"
    ORDER_FAILED = "order_failed"
    MESSAGE_REFUSED = "message_refused"  # a signal that the order could not use, by name and why
    WORKFLOW_FAILING = "workflow_failing"  # its workflow task fails, and is tried again: a bug, a missing key
    WORKFLOW_RECOVERED = "workflow_recovered"
    STEP_STARTED = "step_started"  # an attempt of any step
    STEP_ENDED = "step_ended"


# The step whose activity writes the event. An attempt's own events name their step themselves.
EVENT_STEPS: dict[EventType, Step] = {
    EventType.ORDER_RECEIVED: Step.RECEIVE,
    EventType.ORDER_VALIDATED: Step.VALIDATE,
    EventType.REVIEW_OPENED: Step.REVIEW,
    EventType.ORDER_APPROVED: Step.REVIEW,  # written by charge, but it tells what became of the review
    EventType.PAYMENT_CHARGED: Step.CHARGE,
    EventType.PAYMENT_DECLINED: Step.CHARGE,
    EventType.PACKAGE_PREPARED: Step.PREPARE,
    EventType.CARRIER_DISPATCHED: Step.DISPATCH,
    EventType.ORDER_SHIPPED: Step.SHIP,
    EventType.ADDRESS_CHANGED: Step.ADDRESS,
    EventType.ORDER_STOPPED: Step.STOP,
    EventType.SHIPMENT_RECALLED: Step.RECALL,
    EventType.PAYMENT_REFUNDED: Step.REFUND,
    EventType.PAYMENT_VOIDED: Step.REFUND,
    EventType.ORDER_CANCELLED: Step.CLOSE,
    EventType.ORDER_REJECTED: Step.CLOSE,
    EventType.ORDER_FAILED: Step.CLOSE,
}

# The event that tells of an order's arrival in each state.
STATE_EVENTS: dict[OrderState, EventType] = {
    OrderState.RECEIVED: EventType.ORDER_RECEIVED,
    OrderState.VALIDATED: EventType.ORDER_VALIDATED,
    OrderState.IN_REVIEW: EventType.REVIEW_OPENED,
    OrderState.APPROVED: EventType.ORDER_APPROVED,
    OrderState.CHARGED: EventType.PAYMENT_CHARGED,
    OrderState.PREPARED: EventType.PACKAGE_PREPARED,
    OrderState.DISPATCHED: EventType.CARRIER_DISPATCHED,
    OrderState.SHIPPED: EventType.ORDER_SHIPPED,
    OrderState.COMPENSATING: EventType.ORDER_STOPPED,
    OrderState.CANCELLED: EventType.ORDER_CANCELLED,
    OrderState.REJECTED: EventType.ORDER_REJECTED,
    OrderState.FAILED: EventType.ORDER_FAILED,
}

# What happens to an order once at most; the rest may happen again and again.
ONCE = frozenset(EVENT_STEPS) - {EventType.ADDRESS_CHANGED}


def event_step(event_type: str) -> Step | None:
    """The step that an event belongs to; None for an attempt's own events, and for a type that nobody knows."""
    return EVENT_STEPS.get(EventType(event_type)) if event_type in list(EventType) else None


class AttemptOutcome(StrEnum):
    """How an attempt ended; `trellis_events.outcome`."""

    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


class AttemptState(StrEnum):
    """How an attempt is shown: its outcome, or what the view trellis_attempts infers of one without an end."""

    COMPLETED = AttemptOutcome.COMPLETED.value
    FAILED = AttemptOutcome.FAILED.value
    TIMED_OUT = AttemptOutcome.TIMED_OUT.value
    CANCELLED = AttemptOutcome.CANCELLED.value
    LOST = "lost"  # its worker died, or its answer never reached Temporal
    RUNNING = "running"
