"""The API's bodies and the core draw the same line between good and bad input."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from orderkit.contract import StartOrder, UpdateAddressBody, checked
from orderkit.core.events import EVENT_STEPS, STATE_EVENTS, EventType
from orderkit.core.messages import MAX_TEXT_CHARACTERS, check_message
from orderkit.core.orders import (
    ADDRESS_CHARACTERS,
    DEFAULT_ADDRESS,
    MAX_DEADLINE_SECONDS,
    MAX_ITEMS,
    MAX_QUANTITY,
    MAX_SKU_CHARACTERS,
    MAX_UNIT_PRICE_CENTS,
    MIN_DEADLINE_SECONDS,
    MIN_UNIT_PRICE_CENTS,
    Address,
    Item,
    OrderId,
    OrderInput,
    OrderState,
    check_order,
)
from orderkit.core.policies import POLICIES, PolicyName
from orderkit.errors import InvalidOrder

CENT = Decimal("0.01")
LOWEST, HIGHEST = MIN_UNIT_PRICE_CENTS * CENT, MAX_UNIT_PRICE_CENTS * CENT
ADDRESS = {name: getattr(DEFAULT_ADDRESS, name) for name in ADDRESS_CHARACTERS}


def item(sku: str = "TEA", quantity: int = 1, price: Decimal = Decimal(1)) -> dict[str, Any]:
    return {"items": [{"sku": sku, "qty": quantity, "unit_price": str(price)}]}


def core_takes(**fields: Any) -> bool:
    """What the core says of the same order; it never sees the body."""
    order: dict[str, Any] = {}
    if "items" in fields:
        items = [(each["sku"], each["qty"], int(Decimal(each["unit_price"]) * 100)) for each in fields["items"]]
        order["items"] = [Item(*each) for each in items]
    if "initial_address" in fields:
        order["address"] = Address(**fields["initial_address"])
    if "deadline" in fields:
        order["deadline_seconds"] = fields["deadline"]
    if "payment_id" in fields:
        order["payment_id"] = fields["payment_id"]
    try:
        check_order(OrderInput(OrderId("A-1"), **order))
    except InvalidOrder:
        return False
    return True


def contract_takes(**fields: Any) -> bool:
    try:
        checked(StartOrder, fields)
    except InvalidOrder:
        return False
    return True


def lines(name: str, characters: int) -> dict[str, Any]:
    return {"initial_address": ADDRESS | {name: ("1" if name == "zip" else "x") * characters}}


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        (item(price=LOWEST), item(price=LOWEST - CENT)),
        (item(price=HIGHEST), item(price=HIGHEST + CENT)),
        (item(quantity=1), item(quantity=0)),
        (item(quantity=MAX_QUANTITY), item(quantity=MAX_QUANTITY + 1)),
        (item(sku="x" * MAX_SKU_CHARACTERS), item(sku="x" * (MAX_SKU_CHARACTERS + 1))),
        ({"items": item()["items"] * MAX_ITEMS}, {"items": item()["items"] * (MAX_ITEMS + 1)}),
        ({"deadline": MIN_DEADLINE_SECONDS}, {"deadline": MIN_DEADLINE_SECONDS - 0.01}),
        ({"deadline": MAX_DEADLINE_SECONDS}, {"deadline": MAX_DEADLINE_SECONDS + 0.01}),
        ({"payment_id": "p" * 64}, {"payment_id": "p" * 65}),
        *((lines(name, most), lines(name, most + 1)) for name, most in ADDRESS_CHARACTERS.items()),
    ],
)
def test_the_api_and_the_core_have_the_same_limits(inside: dict[str, Any], outside: dict[str, Any]) -> None:
    assert (contract_takes(**inside), core_takes(**inside)) == (True, True)
    assert (contract_takes(**outside), core_takes(**outside)) == (False, False)


@pytest.mark.parametrize(("characters", "taken"), [(MAX_TEXT_CHARACTERS, True), (MAX_TEXT_CHARACTERS + 1, False)])
def test_texts_of_messages_have_the_same_limit(characters: int, taken: bool) -> None:
    fields = {"new_address": ADDRESS, "updated_by": "x" * characters}
    if taken:
        assert check_message(checked(UpdateAddressBody, fields).to_message()) == []
    else:
        with pytest.raises(InvalidOrder, match="updated_by"):
            checked(UpdateAddressBody, fields)


def test_every_name_of_a_policy_has_its_policy() -> None:
    assert list(POLICIES) == [name.value for name in PolicyName]


def test_every_event_of_the_order_itself_belongs_to_a_step_and_every_state_has_its_event() -> None:
    attempts = {EventType.STEP_STARTED, EventType.STEP_ENDED}
    of_the_workflow = {EventType.MESSAGE_REFUSED, EventType.WORKFLOW_FAILING, EventType.WORKFLOW_RECOVERED}
    assert set(EVENT_STEPS) == set(EventType) - attempts - of_the_workflow
    assert set(STATE_EVENTS) == set(OrderState)
    assert len(set(STATE_EVENTS.values())) == len(STATE_EVENTS)
