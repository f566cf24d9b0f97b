"""Turns values from a cell into bodies of the REST API; a sentence names every problem."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from orderkit.contract import address_fields
from orderkit.core.faults import FaultPlan, parse_plan
from orderkit.core.orders import Address, check_order_id
from orderkit.errors import InvalidFaultPlan, InvalidOrder, Problem

ItemTuple = tuple[str, int, str]  # sku, quantity, unit price


def check_name(order: object) -> str:
    """An order's name; raises InvalidOrder."""
    if isinstance(order, str):
        if problems := check_order_id(order):
            raise InvalidOrder(problems)
        return order
    why = "; put await before the call that gave you this one" if inspect.isawaitable(order) else ""
    told = f"use its name, or what lab.orders.start returned, not {_kind(order)}{why}"
    raise InvalidOrder([Problem("order", told)])


def check_seconds(field: str, given: object) -> None:
    """Raise InvalidOrder unless it is a number of seconds."""
    if isinstance(given, bool) or not hasattr(given, "__float__") or given < 0:  # type: ignore[operator]
        raise InvalidOrder([Problem(field, f"use a number of seconds, for example 30, not {given!r}")])


def read_plan(faults: object, seed: int) -> FaultPlan:
    """A scenario's name, a script, both, or a plan; raises InvalidFaultPlan."""
    if isinstance(faults, str):
        return parse_plan(faults, seed)
    if isinstance(faults, FaultPlan):
        return faults
    raise InvalidFaultPlan(f"write the faults as text, for example 'charge=error,ok', not as {_kind(faults)}")


def item_fields(items: Sequence[ItemTuple]) -> list[dict[str, object]]:
    """The fields of an order's lines; raises InvalidOrder."""
    try:
        return [{"sku": sku, "qty": quantity, "unit_price": price} for sku, quantity, price in items]
    except (TypeError, ValueError):
        told = "write them as a list of (sku, quantity, price), for example [('TEA-CUP', 4, '6.50')]"
        raise InvalidOrder([Problem("items", told)]) from None


def address_of(address: object) -> Mapping[str, object]:
    """The fields of an Address, of a dict, or of one line; raises InvalidOrder."""
    if isinstance(address, str):
        return address_fields(address)
    if isinstance(address, Address):
        return asdict(address)
    if isinstance(address, Mapping):
        return address
    told = f"use an Address, or one line 'street, city, state, zip', not {_kind(address)}"
    raise InvalidOrder([Problem("address", told)])


def _kind(thing: object) -> str:
    """`a list`, `an int`."""
    name = type(thing).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
