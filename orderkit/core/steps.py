"""The steps of an order: one activity and one business function each."""

from __future__ import annotations

from enum import StrEnum

ORDER_QUEUE = "order-tq"
SHIPPING_QUEUE = "shipping-tq"
FIND_STRANDED = "find_stranded_activity"
NOTE_REFUSAL = "note_refusal_activity"  # no step of the order: it is not tried by a policy, and leaves no attempts


class Step(StrEnum):
    """A step's name, as events, charts and fault scripts use it."""

    RECEIVE = "receive"  #: the order's row is created
    VALIDATE = "validate"  #: items, prices and address are checked
    REVIEW = "review"  #: the review is opened; the waiting is a timer in the workflow
    CHARGE = "charge"  #: the payment provider takes the money
    PREPARE = "prepare"  #: the package is packed
    DISPATCH = "dispatch"  #: the carrier takes the package: the point of no return
    SHIP = "ship"  #: the order is marked as shipped
    ADDRESS = "address"  #: an address change is carried out
    STOP = "stop"  #: the database decides: stopped, or too late because dispatched
    RECALL = "recall"  #: compensation: the carrier gives the package back
    REFUND = "refund"  #: compensation: the payment key is voided, what was charged goes back
    CLOSE = "close"  #: the order gets its final state


ACTIVITY_STEPS: dict[str, Step] = {
    "receive_order_activity": Step.RECEIVE,
    "validate_order_activity": Step.VALIDATE,
    "manual_review_activity": Step.REVIEW,
    "charge_payment_activity": Step.CHARGE,
    "prepare_package_activity": Step.PREPARE,
    "dispatch_carrier_activity": Step.DISPATCH,
    "ship_order_activity": Step.SHIP,
    "update_address_activity": Step.ADDRESS,
    "stop_order_activity": Step.STOP,
    "recall_shipment_activity": Step.RECALL,
    "refund_payment_activity": Step.REFUND,
    "close_order_activity": Step.CLOSE,
}

# What each does, for the people who look at an order in Temporal's UI.
STEP_SUMMARIES: dict[Step, str] = {
    Step.RECEIVE: "note the order",
    Step.VALIDATE: "check items, prices and address",
    Step.REVIEW: "open the review",
    Step.CHARGE: "take the money",
    Step.PREPARE: "pack the package",
    Step.DISPATCH: "give the package to the carrier",
    Step.SHIP: "mark the order as shipped",
    Step.ADDRESS: "change the address",
    Step.STOP: "ask the database: stopped, or too late?",
    Step.RECALL: "undo: get the package back",
    Step.REFUND: "undo: give the money back",
    Step.CLOSE: "close the order",
}

STEP_ACTIVITIES: dict[Step, str] = {step: activity for activity, step in ACTIVITY_STEPS.items()}

# Up to the point of no return: the order's policy decides the retries, and the outside world may decline.
POLICY_STEPS = (Step.RECEIVE, Step.VALIDATE, Step.REVIEW, Step.CHARGE, Step.PREPARE, Step.DISPATCH)

# The whole way of an order that ships. All that is not in POLICY_STEPS is tried until it is done.
FORWARD_STEPS = (*POLICY_STEPS, Step.SHIP)

# A scenario's random faults strike these, the calls that reach outside; a script can strike any step.
SCENARIO_STEPS = frozenset(
    {
        Step.RECEIVE,
        Step.VALIDATE,
        Step.CHARGE,
        Step.PREPARE,
        Step.DISPATCH,
        Step.SHIP,
        Step.RECALL,
        Step.REFUND,
    }
)
