"""Messages to a running order: signals, updates and the query's answer; each has one argument."""

from dataclasses import dataclass, field
from enum import StrEnum

from orderkit.core.orders import Address, check_address, has_control_characters
from orderkit.errors import Problem

MAX_TEXT_CHARACTERS = 500  # of a name, a reason or a note
MAX_SIGNAL_NAME_CHARACTERS = 60  # of an unknown signal's name
DEADLINE = "deadline"  # who stops an order whose time runs out
MESSAGE_REFUSED = "MessageRefused"  # the type of a refusal, as Temporal carries it


@dataclass(frozen=True)
class CancelOrder:
    """Signal `cancel_order`, update `cancel`."""

    reason: str
    cancelled_by: str


@dataclass(frozen=True)
class UpdateAddress:
    """Signal `update_address`, update `address`."""

    new_address: Address
    updated_by: str


@dataclass(frozen=True)
class ReviewDecision:
    """Signals `approve_order` and `reject_order`: who decided, and why."""

    reviewer: str
    note: str = ""


@dataclass(frozen=True)
class ReviewOrder:
    """Update `review`: a ReviewDecision that says which way."""

    approve: bool
    reviewer: str
    note: str = ""


@dataclass(frozen=True)
class DispatchFailed:
    """Signal `dispatch_failed`, from the shipping child to its parent."""

    reason: str
    run: int


@dataclass(frozen=True)
class Answer:
    """What an update answers when it was accepted. A refused update fails, with the reason."""

    message: str


class StopKind(StrEnum):
    """Why an order is stopped; decides its end."""

    CANCELLED = "cancelled"  # a person or a review said no, or nobody answered
    REJECTED = "rejected"  # invalid input or declined card
    FAILED = "failed"  # attempts or time ran out


@dataclass(frozen=True)
class Stop:
    """A request to stop an order. `native` marks a Temporal cancellation."""

    kind: StopKind
    reason: str
    by: str
    native: bool = False


@dataclass(frozen=True)
class WorkflowStatus:
    """Answer of the query `status`, from the workflow's own memory."""

    order_id: str
    step: str
    review: str
    stop: Stop | None
    past_no_return: bool
    shipping_runs: int
    deadline_left_seconds: float
    refused: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class OrderResult:
    """Result of OrderWorkflow; the details of its ApplicationError when the order failed."""

    order_id: str
    outcome: str
    reason: str
    charged_cents: int
    refunded_cents: int
    tracking: str = ""


def check_message(message: CancelOrder | UpdateAddress | ReviewDecision | ReviewOrder) -> list[Problem]:
    """What is wrong with a message; empty when it is fine."""
    match message:
        case CancelOrder():
            texts = {"reason": message.reason, "cancelled_by": message.cancelled_by}
            required = ("cancelled_by",)
        case UpdateAddress():
            texts = {"updated_by": message.updated_by}
            required = ("updated_by",)
        case ReviewDecision() | ReviewOrder():
            texts = {"reviewer": message.reviewer, "note": message.note}
            required = ("reviewer",)
    problems = [
        Problem(name, f"at most {MAX_TEXT_CHARACTERS} characters")
        for name, text in texts.items()
        if len(text) > MAX_TEXT_CHARACTERS
    ]
    problems += [Problem(name, "no control characters") for name, text in texts.items() if has_control_characters(text)]
    problems += [Problem(name, "say who; it must not be empty") for name in required if not texts[name].strip()]
    if isinstance(message, UpdateAddress):
        problems += check_address(message.new_address)
    return problems


# What each signal carries.
SIGNALS: dict[str, type] = {
    "cancel_order": CancelOrder,
    "update_address": UpdateAddress,
    "approve_order": ReviewDecision,
    "reject_order": ReviewDecision,
    "dispatch_failed": DispatchFailed,
}


def printable(text: str, most_characters: int) -> str:
    """Text from anywhere on one line, cut to a length."""
    shown = "".join(" " if has_control_characters(character) else character for character in text)
    return shown if len(shown) <= most_characters else f"{shown[: most_characters - 1]}…"
