"""The bodies that clients send."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, WithJsonSchema

from orderkit.contract.fields import (
    FAULT,
    ONE_LINE,
    PATTERN_HINTS,
    PAYMENT_ID,
    WITH_LETTER,
    ZIP,
    FaultText,
    Line,
    Money,
    Person,
    Seconds,
    Text,
    Whole,
)
from orderkit.core.faults import MAX_SCRIPT_ATTEMPTS, FaultPlan, Scenario
from orderkit.core.messages import CancelOrder, ReviewDecision, ReviewOrder, UpdateAddress
from orderkit.core.orders import (
    ADDRESS_CHARACTERS,
    DEFAULT_ADDRESS,
    DEFAULT_ITEMS,
    MAX_DEADLINE_SECONDS,
    MAX_ITEMS,
    MAX_QUANTITY,
    MAX_SKU_CHARACTERS,
    MIN_DEADLINE_SECONDS,
    Address,
    Item,
    OrderId,
    OrderInput,
    PaymentId,
    Review,
)
from orderkit.core.policies import DEFAULT_DEADLINE_SECONDS, POLICIES, PolicyName
from orderkit.core.steps import POLICY_STEPS, Step
from orderkit.errors import InvalidOrder, Problem

B = TypeVar("B", bound=BaseModel)


def checked(body: type[B], fields: Mapping[str, Any]) -> B:
    """A body with these fields, as people wrote them; raises InvalidOrder, which names every problem."""
    try:
        return body.model_validate(fields)
    except ValidationError as error:
        raise InvalidOrder(field_problems(error.errors())) from None


def field_problems(errors: Iterable[Mapping[str, Any]]) -> list[Problem]:
    """What pydantic's errors say; not that a value which may be left out could be None."""
    return [_field_problem(error) for error in errors if error["type"] != "none_required"]


def _field_problem(error: Mapping[str, Any]) -> Problem:
    """What one of pydantic's errors says: where and what, never the value, which may be an address."""
    place, *where = error["loc"] or ("",)
    if place in ("path", "query", "header", "cookie"):
        where = where[:1]  # what follows are pydantic's own names for the types that a parameter may have
    elif place != "body":
        where = [place, *where]
    where = [part for part in where if part != "[key]"]
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(".")
    if error["type"] == "json_invalid":
        return Problem("body", f"is not JSON: {error['ctx']['error']}")
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "model_type":
        message = "must be an object, with a value for each of its fields"
    if error["type"] == "string_pattern_mismatch":
        message = PATTERN_HINTS.get(error["ctx"]["pattern"], "has characters that are not allowed")
    return Problem(field or "body", message)


def address_fields(text: str) -> dict[str, str]:
    """The fields of an address on one line; raises InvalidOrder."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 4:
        raise InvalidOrder([Problem("address", "write it as street, city, state, zip")])
    return dict(zip(("street", "city", "state", "zip"), parts, strict=True))


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ItemBody(_Body):
    """A line of an order."""

    sku: Annotated[Line, Field(max_length=MAX_SKU_CHARACTERS)]
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

    street: Annotated[Line, Field(max_length=ADDRESS_CHARACTERS["street"])]
    city: str = Field(min_length=1, max_length=ADDRESS_CHARACTERS["city"], pattern=WITH_LETTER)
    state: Annotated[Line, Field(max_length=ADDRESS_CHARACTERS["state"])]
    zip: str = Field(pattern=ZIP, description="2 to 12 letters, digits, spaces or dashes")
    country: Annotated[Line, Field(max_length=ADDRESS_CHARACTERS["country"])] = "US"
    name: Annotated[str, Field(max_length=ADDRESS_CHARACTERS["name"], pattern=ONE_LINE)] = ""

    def to_address(self) -> Address:
        """As the domain says it."""
        return Address(**self.model_dump())

    @classmethod
    def of(cls, address: Address) -> AddressBody:
        """The same address, as a body says it."""
        return cls.model_validate(address, from_attributes=True)


def _faults_schema(step: Step) -> JsonValue:
    kinds = FAULT if step in POLICY_STEPS else FAULT.replace("|decline", "")
    return {"type": "array", "maxItems": MAX_SCRIPT_ATTEMPTS, "items": {"type": "string", "pattern": kinds}}


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
        dict[Step, Annotated[list[FaultText], Field(max_length=MAX_SCRIPT_ATTEMPTS)]], WithJsonSchema(_SCRIPT_SCHEMA)
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
        "", pattern=PAYMENT_ID, description="idempotency key at the payment provider; else pay-{order_id}"
    )
    items: list[ItemBody] = Field([ItemBody.of(item) for item in DEFAULT_ITEMS], min_length=1, max_length=MAX_ITEMS)
    initial_address: AddressBody = AddressBody.of(DEFAULT_ADDRESS)
    review: Review = Field(
        Review.AUTO, description="auto: a timer approves; human: only a person does; none: no review"
    )
    review_seconds: Seconds = Field(2.0, ge=0, le=MAX_DEADLINE_SECONDS, description="of the timer of review auto")
    policy: PolicyName = PolicyName.SPEC
    deadline: Seconds = Field(
        DEFAULT_DEADLINE_SECONDS,
        ge=MIN_DEADLINE_SECONDS,
        le=MAX_DEADLINE_SECONDS,
        description="seconds to the decision",
    )
    faults: FaultsBody = FaultsBody()

    @classmethod
    def of(cls, plan: FaultPlan, **fields: Any) -> Self:
        """With a fault plan, and other fields as people wrote them; raises InvalidOrder, which names every problem."""
        faults = {"scenario": plan.scenario, "seed": plan.seed, "script": dict(plan.script)}
        return checked(cls, {**fields, "faults": faults})

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
