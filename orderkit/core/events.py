"""The vocabulary of trellis_events: every event's type, the step that writes it, and how attempts end."""

from enum import StrEnum

from orderkit.core.orders import OrderState
from orderkit.core.steps import Step


class EventType(StrEnum):
    """What happened; `trellis_events.type`."""

    ORDER_RECEIVED = "order_received"  #: the order's row was created, with its amount and policy
    ORDER_VALIDATED = "order_validated"  #: items, prices and address were checked
    REVIEW_OPENED = "review_opened"  #: a person, or the review's timer, may decide now
    ORDER_APPROVED = "order_approved"  #: the review said yes; the payment is opened with it
    PAYMENT_CHARGED = "payment_charged"  #: the payment provider took the money
    PAYMENT_DECLINED = "payment_declined"  #: the payment provider said no, and why
    PACKAGE_PREPARED = "package_prepared"  #: the package was packed
    CARRIER_DISPATCHED = "carrier_dispatched"  #: the carrier has the package: the point of no return
    ORDER_SHIPPED = "order_shipped"  #: the order ended, shipped and charged once
    ADDRESS_CHANGED = "address_changed"  #: the package goes elsewhere, and who said so
    ORDER_STOPPED = "order_stopped"  #: the order is being undone: why, and by whom
    SHIPMENT_RECALLED = "shipment_recalled"  #: the carrier was asked to give the package back
    PAYMENT_REFUNDED = "payment_refunded"  #: what was charged went back to the customer
    PAYMENT_VOIDED = "payment_voided"  #: nothing had been charged, and the key is refused from now on
    ORDER_CANCELLED = "order_cancelled"  #: the order ended: a person or a review said no, or nobody answered
    ORDER_REJECTED = "order_rejected"  #: the order ended: invalid input or a declined card
    ORDER_FAILED = "order_failed"  #: the order ended: attempts or time ran out
    MESSAGE_REFUSED = "message_refused"  #: a signal that the order could not use: its name and why
    WORKFLOW_FAILING = "workflow_failing"  #: its workflow task fails, and is tried again: a bug, a missing key
    WORKFLOW_RECOVERED = "workflow_recovered"  #: a workflow task of it went through again
    STEP_STARTED = "step_started"  #: an attempt of any step began
    STEP_ENDED = "step_ended"  #: the attempt's end, with its outcome and error


# The step whose activity writes the event. An attempt's own events name their step themselves.
EVENT_STEPS: dict[EventType, Step] = {
    EventType.ORDER_RECEIVED: Step.RECEIVE,
    EventType.ORDER_VALIDATED: Step.VALIDATE,
    EventType.REVIEW_OPENED: Step.REVIEW,
    EventType.ORDER_APPROVED: Step.REVIEW,  # written by charge, but it belongs to the review
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
    """The step that an event belongs to; None for an attempt's own events, and for an unknown type."""
    return EVENT_STEPS.get(EventType(event_type)) if event_type in list(EventType) else None


class AttemptOutcome(StrEnum):
    """How an attempt ended; `trellis_events.outcome`."""

    COMPLETED = "completed"  #: the step is done
    FAILED = "failed"  #: it raised an error
    TIMED_OUT = "timed_out"  #: its time limit was over
    CANCELLED = "cancelled"  #: the order was stopped meanwhile


class AttemptState(StrEnum):
    """How an attempt is shown: its outcome, or what the view trellis_attempts infers of one without an end."""

    COMPLETED = AttemptOutcome.COMPLETED.value  #: the step is done
    FAILED = AttemptOutcome.FAILED.value  #: it raised an error
    TIMED_OUT = AttemptOutcome.TIMED_OUT.value  #: its time limit was over
    CANCELLED = AttemptOutcome.CANCELLED.value  #: the order was stopped meanwhile
    LOST = "lost"  #: its worker died, or its answer never reached Temporal
    RUNNING = "running"  #: nobody wrote its end yet
