"""The catalogue: what is known of each exhibit, and the order that shows its bug every time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from orderkit.audit.rules import FindingKind
from orderkit.core.events import EventType
from orderkit.core.messages import CancelOrder, ReviewDecision, UpdateAddress
from orderkit.core.orders import Address, OrderInput, Review
from orderkit.lessons.museum.activities import LabelledShipping
from orderkit.lessons.museum.deaf_order import DeafOrder
from orderkit.lessons.museum.early_news import EarlyNews
from orderkit.lessons.museum.free_tea import FreeTea
from orderkit.lessons.museum.hard_deadline import HardDeadline, execution_timeout
from orderkit.lessons.museum.hasty_clerk import Clerk, HastyClerk
from orderkit.lessons.museum.old_label import OldLabel
from orderkit.lessons.museum.polite_cancel import PoliteCancel
from orderkit.worker.activities import OrderActivities, ShippingActivities

Message = CancelOrder | UpdateAddress | ReviewDecision


@dataclass(frozen=True)
class TimedMessage:
    """A signal, sent as soon as the order has an event of type `after`, or has started the step of that name."""

    after: str
    signal: str
    message: Message


@dataclass(frozen=True)
class Exhibit:
    """A broken workflow. `found` is what the auditor finds, each once; `right` is the file that does it well."""

    name: str
    title: str
    workflow: type
    symptom: str
    hints: tuple[str, str, str]
    found: frozenset[FindingKind]
    fix: str
    right: str
    script: Mapping[str, list[str]] = field(default_factory=dict)
    messages: tuple[TimedMessage, ...] = ()
    review: Review = Review.NONE
    deadline_seconds: float = 15.0
    order_activities: type[OrderActivities] = OrderActivities
    shipping_activities: type[ShippingActivities] = ShippingActivities
    execution_timeout: Callable[[OrderInput], timedelta] | None = None


_MOVED = UpdateAddress(Address(street="7 Harbour Road", city="Portland", state="ME", zip="04101"), "the customer")
_APPROVED = ReviewDecision("the shop")

EXHIBITS: tuple[Exhibit, ...] = (
    Exhibit(
        name="polite-cancel",
        title="The polite cancel",
        workflow=PoliteCancel,
        symptom="The customer cancelled while we were packing. We agreed politely. The bank says otherwise.",
        hints=(
            "How far had the order come when the cancel arrived? Read its attempts.",
            "What had happened by then outside of our database? Read the ledger.",
            "Cancelling stops what is still to come. Which line undoes what has already happened?",
        ),
        found=frozenset({FindingKind.REFUND_MISSING}),
        fix="Register the refund before the charge is scheduled; however the order ends, run what is registered.",
        right="orderkit/workflows/order.py",
        script={"prepare": ["hang", "hang", "hang"]},
        messages=(TimedMessage("prepare", "cancel_order", CancelOrder("found it cheaper", "the customer")),),
    ),
    Exhibit(
        name="free-tea",
        title="Free tea",
        workflow=FreeTea,
        symptom="The month's sales are fine, the month's income is not.",
        hints=(
            "Compare two books: what do our events say of the payment, and what does the provider's ledger say?",
            "How did the attempt of charge end, and which step came next?",
            "The card was declined. Which line decides that this does not matter?",
        ),
        found=frozenset({FindingKind.SHIPPED_NOT_CHARGED}),
        fix="Let the failure of a step stop the order; let only the activity that did something note it as done.",
        right="orderkit/workflows/failures.py",
        script={"charge": ["decline"]},
    ),
    Exhibit(
        name="old-label",
        title="The old label",
        workflow=OldLabel,
        symptom="The customer moved and told us in time. The package went to the old house.",
        hints=(
            "Did the change reach the database? Read the events.",
            "So the database knew. Where does the label get its address from?",
            "When is the variable on the label filled, and when does the change arrive?",
        ),
        found=frozenset({FindingKind.WRONG_LABEL}),
        fix="Read the address when the label is printed; the database refuses a label that is out of date.",
        right="orderkit/business.py",
        messages=(
            TimedMessage(EventType.REVIEW_OPENED, "update_address", _MOVED),
            TimedMessage(EventType.ADDRESS_CHANGED, "approve_order", _APPROVED),
        ),
        review=Review.HUMAN,
        shipping_activities=LabelledShipping,
    ),
    Exhibit(
        name="deaf-order",
        title="The deaf order",
        workflow=DeafOrder,
        symptom="The customer moved while the order waited for approval. Since then: nothing. No step has failed.",
        hints=(
            "Does the order wait, or does it try something again and again? Ask Temporal, not our tables.",
            "Temporal's history has a WORKFLOW_TASK_FAILED, which names an error, a file and a line.",
            "Into what does Temporal decode a signal's argument that has no type?",
        ),
        found=frozenset({FindingKind.PAST_DEADLINE, FindingKind.WORKFLOW_FAILING}),
        fix="Give every signal one argument with a type, a dataclass; Temporal decodes what arrives into that type.",
        right="orderkit/workflows/order.py",
        messages=(
            TimedMessage(EventType.REVIEW_OPENED, "update_address", _MOVED),
            TimedMessage(EventType.ADDRESS_CHANGED, "approve_order", _APPROVED),
        ),
        review=Review.HUMAN,
        deadline_seconds=4,
    ),
    Exhibit(
        name="hard-deadline",
        title="The hard deadline",
        workflow=HardDeadline,
        symptom="The carrier did not answer, and the time ran out. The refund is in the code. It is not in the ledger.",
        hints=(
            "How did the workflow end? Look at the last line of its history.",
            "Which activities follow that last line?",
            "Who ends a workflow that reaches its execution timeout? Is the workflow asked before?",
        ),
        found=frozenset({FindingKind.STRANDED, FindingKind.CHARGED_NOT_SHIPPED}),
        fix="Keep the deadline inside the workflow, as a timer, and reserve part of the time for undoing.",
        right="orderkit/workflows/order.py",
        script={"dispatch": ["hang", "hang", "hang"]},
        deadline_seconds=4,
        execution_timeout=execution_timeout,
    ),
    Exhibit(
        name="early-news",
        title="Early news",
        workflow=EarlyNews,
        symptom="Our page says shipped. The customer has paid, and waits. The carrier has never heard of the package.",
        hints=(
            "Read the events from the top: which came first, the state or what it says?",
            "How did dispatch end, and what had the customer been told by then?",
            "A state may only say what has already happened. Which line says it too early?",
        ),
        found=frozenset({FindingKind.STATE_UNSUPPORTED, FindingKind.CHARGED_NOT_SHIPPED}),
        fix="Do it first, then note it, in the activity that did it.",
        right="orderkit/business.py",
        script={"dispatch": ["decline"]},
        shipping_activities=LabelledShipping,
    ),
    Exhibit(
        name="hasty-clerk",
        title="The hasty clerk",
        workflow=HastyClerk,
        symptom="One customer in a hundred has paid twice. Nobody in the shop can reproduce it.",
        hints=(
            "Retries are fine as long as they repeat the same request. Does attempt 2 send what attempt 1 has sent?",
            "By what does the payment provider recognise a request that it has already served?",
            "Which line makes something new in each attempt?",
        ),
        found=frozenset({FindingKind.CHARGED_TWICE}),
        fix="Fix the idempotency key before the first attempt, in the order's input, and send the same one each time.",
        right="orderkit/core/orders.py",
        script={"charge": ["error_after"]},
        order_activities=Clerk,
    ),
)
