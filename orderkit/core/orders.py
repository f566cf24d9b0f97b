"""Orders, their states, and what makes one valid."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import NewType

from orderkit.core.faults import FaultPlan, check_plan
from orderkit.core.policies import DEFAULT_DEADLINE_SECONDS, SPEC, Policy
from orderkit.errors import InvalidFaultPlan, InvalidOrder, Problem

OrderId = NewType("OrderId", str)
PaymentId = NewType("PaymentId", str)

ORDER_ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._~-]{0,63}"
ZIP_PATTERN = r"[A-Za-z0-9][A-Za-z0-9 -]{1,11}"
MAX_ITEMS = 100
MAX_SKU_CHARACTERS = 64
MAX_QUANTITY = 1_000
MIN_UNIT_PRICE_CENTS, MAX_UNIT_PRICE_CENTS = 1, 99_999_99
MIN_DEADLINE_SECONDS, MAX_DEADLINE_SECONDS = 1.0, 86_400.0
MAX_FACTOR, MAX_ATTEMPTS = 1_000, 1_000_000  # of a retry policy
# The longest that each line of an address may be, in characters; `name` alone may be empty.
ADDRESS_CHARACTERS = {"street": 120, "city": 80, "state": 40, "zip": 12, "country": 60, "name": 80}


class OrderState(StrEnum):
    """Where an order stands; `trellis_orders.state`."""

    RECEIVED = "received"  #: the order's row is there
    VALIDATED = "validated"  #: items, prices and address are fine
    IN_REVIEW = "in_review"  #: a review is open
    APPROVED = "approved"  #: the review said yes, or there is none
    CHARGED = "charged"  #: the customer has paid
    PREPARED = "prepared"  #: the package is packed
    DISPATCHED = "dispatched"  #: past the point of no return
    SHIPPED = "shipped"  #: end: charged once, with the carrier
    COMPENSATING = "compensating"  #: stopped; being undone
    CANCELLED = "cancelled"  #: end: a person or a review said no, or nobody answered
    REJECTED = "rejected"  #: end: invalid input or declined card
    FAILED = "failed"  #: end: attempts or time ran out


FORWARD = (
    OrderState.RECEIVED,
    OrderState.VALIDATED,
    OrderState.IN_REVIEW,
    OrderState.APPROVED,
    OrderState.CHARGED,
    OrderState.PREPARED,
    OrderState.DISPATCHED,
    OrderState.SHIPPED,
)
ENDS = frozenset({OrderState.SHIPPED, OrderState.CANCELLED, OrderState.REJECTED, OrderState.FAILED})
STOPPABLE = frozenset(FORWARD[: FORWARD.index(OrderState.DISPATCHED)])

# From each state, the states that may follow.
TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    OrderState.RECEIVED: frozenset({OrderState.VALIDATED, OrderState.COMPENSATING}),
    OrderState.VALIDATED: frozenset({OrderState.IN_REVIEW, OrderState.APPROVED, OrderState.COMPENSATING}),
    OrderState.IN_REVIEW: frozenset({OrderState.APPROVED, OrderState.COMPENSATING}),
    OrderState.APPROVED: frozenset({OrderState.CHARGED, OrderState.COMPENSATING}),
    OrderState.CHARGED: frozenset({OrderState.PREPARED, OrderState.COMPENSATING}),
    OrderState.PREPARED: frozenset({OrderState.DISPATCHED, OrderState.COMPENSATING}),
    OrderState.DISPATCHED: frozenset({OrderState.SHIPPED}),
    OrderState.SHIPPED: frozenset(),
    OrderState.COMPENSATING: frozenset({OrderState.CANCELLED, OrderState.REJECTED, OrderState.FAILED}),
    OrderState.CANCELLED: frozenset(),
    OrderState.REJECTED: frozenset(),
    OrderState.FAILED: frozenset(),
}


def sources(to: OrderState) -> list[OrderState]:
    """The states from which an order may move to `to`, in the order of the lifecycle."""
    return [state for state in OrderState if to in TRANSITIONS[state]]


def has_reached(state: OrderState, goal: OrderState) -> bool:
    """Whether an order in `state` has already been through `goal` on the forward path."""
    return state in FORWARD and goal in FORWARD and FORWARD.index(state) >= FORWARD.index(goal)


class Review(StrEnum):
    """Who approves an order."""

    AUTO = "auto"  #: a timer approves, unless a person is faster
    HUMAN = "human"  #: only a person approves; no answer in time means cancelled
    NONE = "none"  #: there is no review


@dataclass(frozen=True)
class Address:
    """Where the package goes."""

    street: str
    city: str
    state: str
    zip: str
    country: str = "US"
    name: str = ""


@dataclass(frozen=True)
class Item:
    """A line of an order; money is whole cents."""

    sku: str
    quantity: int = 1
    unit_price_cents: int = 1_000


DEFAULT_ADDRESS = Address(street="1 Main Street", city="Springfield", state="IL", zip="62701")
DEFAULT_ITEMS = (
    Item(sku="TEA-POT", quantity=1, unit_price_cents=24_90),
    Item(sku="TEA-CUP", quantity=4, unit_price_cents=6_50),
)


@dataclass(frozen=True)
class OrderInput:
    """The argument of OrderWorkflow. An empty `payment_id` becomes `pay-{order_id}`."""

    order_id: OrderId
    payment_id: PaymentId = PaymentId("")
    items: list[Item] = field(default_factory=lambda: list(DEFAULT_ITEMS))
    address: Address = DEFAULT_ADDRESS
    review: Review = Review.AUTO
    review_seconds: float = 2.0
    policy: Policy = SPEC
    deadline_seconds: float = DEFAULT_DEADLINE_SECONDS
    faults: FaultPlan = field(default_factory=FaultPlan)

    @property
    def amount_cents(self) -> int:
        """What the customer pays."""
        return sum(item.quantity * item.unit_price_cents for item in self.items)

    @property
    def payment_key(self) -> PaymentId:
        """The idempotency key at the payment provider."""
        return self.payment_id or PaymentId(f"pay-{self.order_id}")


def order_workflow_id(order_id: str) -> str:
    """`order-{order_id}`."""
    return f"order-{order_id}"


def order_id_of(workflow_id: str) -> str:
    """The order of an `order-{order_id}`; empty for any other workflow."""
    kind, _, order_id = workflow_id.partition("-")
    return order_id if kind == "order" and not check_order_id(order_id) else ""


def shipping_workflow_id(order_id: str, run: int = 1) -> str:
    """`shipping-{order_id}`; a repeated shipping run adds `:2`, `:3` …, which no order's id may contain."""
    return f"shipping-{order_id}" if run == 1 else f"shipping-{order_id}:{run}"


def earlier_shipping_workflow_id(order_id: str, run: int) -> str:
    """What repeated runs were called before: `shipping-X-2` was also the first run of an order X-2."""
    return f"shipping-{order_id}-{run}"


def request_digest(order: OrderInput) -> str:
    """Tells the same request from a different one under the same id; the same before and after a trip as JSON."""
    return hashlib.sha256(json.dumps(_plain(asdict(order)), sort_keys=True).encode()).hexdigest()


def _plain(value: object) -> object:
    """One form for each value: 3 and 3.0 are the same number, a list and a tuple the same list."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return float(value) if isinstance(value, int | float) else str(value)


def check_order(order: OrderInput) -> None:
    """Raise InvalidOrder, naming every problem at once."""
    problems = [*check_can_run(order), *check_items(order.items), *check_address(order.address)]
    if problems:
        raise InvalidOrder(problems)


def check_can_run(order: OrderInput) -> list[Problem]:
    """What keeps OrderWorkflow from running this order at all. Items and address it checks as a step, and rejects."""
    return [*check_order_id(order.order_id), *check_payment_id(order.payment_id), *_check_running(order)]


def check_order_id(order_id: str) -> list[Problem]:
    """Letters, digits and `._~-`, at most 64, so that it fits a URL and a workflow id as it is."""
    if re.fullmatch(ORDER_ID_PATTERN, order_id):
        return []
    return [Problem("order_id", "use 1 to 64 letters, digits, or . _ ~ - (starting with a letter or digit)")]


def check_payment_id(payment_id: str) -> list[Problem]:
    """Empty, or of the same form as an order id."""
    if not payment_id or re.fullmatch(ORDER_ID_PATTERN, payment_id):
        return []
    return [Problem("payment_id", "use 1 to 64 letters, digits, or . _ ~ -")]


def check_items(items: list[Item]) -> list[Problem]:
    """At least one item; sane quantities and prices."""
    if not 1 <= len(items) <= MAX_ITEMS:
        return [Problem("items", f"an order has 1 to {MAX_ITEMS} items, this one has {len(items)}")]
    problems = []
    for number, item in enumerate(items):
        if not 1 <= len(item.sku.strip()) <= MAX_SKU_CHARACTERS or has_control_characters(item.sku):
            rule = f"a sku has 1 to {MAX_SKU_CHARACTERS} characters, on one line"
            problems.append(Problem(f"items[{number}].sku", rule))
        if not 1 <= item.quantity <= MAX_QUANTITY:
            problems.append(Problem(f"items[{number}].quantity", f"use 1 to {MAX_QUANTITY}, not {item.quantity}"))
        if not MIN_UNIT_PRICE_CENTS <= item.unit_price_cents <= MAX_UNIT_PRICE_CENTS:
            lowest, highest = MIN_UNIT_PRICE_CENTS / 100, MAX_UNIT_PRICE_CENTS / 100
            problems.append(Problem(f"items[{number}].unit_price", f"a price is from {lowest:.2f} to {highest:.2f}"))
    return problems


def has_control_characters(text: str) -> bool:
    """Line breaks, NUL and the like: no label can print them, and PostgreSQL cannot hold a NUL."""
    return any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text)


def check_address(address: Address) -> list[Problem]:
    """Every line present, of a length that fits a label, and printable."""
    problems = []
    for name, longest in ADDRESS_CHARACTERS.items():
        value: str = getattr(address, name)
        if not value.strip() and name != "name":
            problems.append(Problem(f"address.{name}", "must not be empty"))
        elif len(value) > longest:
            problems.append(Problem(f"address.{name}", f"at most {longest} characters"))
        elif has_control_characters(value):
            problems.append(Problem(f"address.{name}", "must be text on one line, without control characters"))
    if not problems:
        if not any(character.isalnum() for character in address.street):
            problems.append(Problem("address.street", "must contain a letter or a digit"))
        if not any(character.isalpha() for character in address.city):
            problems.append(Problem("address.city", "must contain a letter"))
        if not re.fullmatch(ZIP_PATTERN, address.zip.strip()):
            problems.append(Problem("address.zip", "use 2 to 12 letters, digits, spaces or dashes"))
    return problems


def _check_running(order: OrderInput) -> list[Problem]:
    """How the order is run: deadline, review, policy, faults."""
    problems = []
    if not MIN_DEADLINE_SECONDS <= order.deadline_seconds <= MAX_DEADLINE_SECONDS:
        problems.append(Problem("deadline", f"use {MIN_DEADLINE_SECONDS:g} to {MAX_DEADLINE_SECONDS:g} seconds"))
    if not 0 <= order.review_seconds <= MAX_DEADLINE_SECONDS:
        problems.append(Problem("review_seconds", f"use 0 to {MAX_DEADLINE_SECONDS:g} seconds"))
    if order.review not in list(Review):
        problems.append(Problem("review", f"use one of: {', '.join(Review)}"))
    policy = order.policy
    limits = [policy.attempt_timeout_seconds.get(step, 0) for step in SPEC.attempt_timeout_seconds]
    waits = (policy.first_wait_seconds, policy.max_wait_seconds)
    if not (
        all(0 < limit <= MAX_DEADLINE_SECONDS for limit in limits)
        and all(0 <= wait <= MAX_DEADLINE_SECONDS for wait in waits)
        and 1 <= policy.factor <= MAX_FACTOR
        and 0 <= policy.max_attempts <= MAX_ATTEMPTS
    ):
        rule = "needs a time limit for every step, waits from 0, a factor from 1, and attempts from 0 (no limit)"
        problems.append(Problem("policy", rule))
    if not -(2**63) <= order.faults.seed < 2**63:
        problems.append(Problem("faults", "the seed is too large"))
    try:
        check_plan(order.faults)
    except InvalidFaultPlan as error:
        problems.append(Problem("faults", str(error)))
    return problems
