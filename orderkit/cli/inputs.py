"""Turns words of the command line into bodies of the REST API, and names every problem."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from orderkit.errors import InvalidOrder, Problem

if TYPE_CHECKING:
    from orderkit.contract import StartOrder

_LONGEST_SECONDS = 100 * 365 * 86_400  # of --since; no order is older


def start_body(
    *,
    faults: str = "calm",
    seed: int = 0,
    policy: str = "spec",
    review: str = "auto",
    deadline: float = 15,
    payment_id: str = "",
    items: list[str] | None = None,
    address: str | None = None,
) -> StartOrder:
    """The start body of these options; raises InvalidOrder and InvalidFaultPlan."""
    from orderkit.contract import StartOrder, address_fields
    from orderkit.core.faults import parse_plan

    body: dict[str, object] = {
        "payment_id": payment_id,
        "review": review,
        "policy": policy,
        "deadline": deadline,
    }
    if items is not None:
        body["items"] = [_item(text) for text in items]
    if address is not None:
        body["initial_address"] = address_fields(address)
    return StartOrder.of(parse_plan(faults, seed), **body)


def timespan(text: str) -> timedelta:
    """What `30s`, `10m`, `2h` or `1d` means; raises InvalidOrder."""
    found = re.fullmatch(r"([0-9]{1,9})([smhd])", text.strip())
    if found is None:
        shown = text if len(text) <= 60 else f"{text[:60]}…"
        message = f"write {shown!r} as a number and one of s, m, h, d, for example 10m for ten minutes"
        raise InvalidOrder([Problem("since", message)])
    seconds = int(found[1]) * {"s": 1, "m": 60, "h": 3_600, "d": 86_400}[found[2]]
    return timedelta(seconds=min(seconds, _LONGEST_SECONDS))


def _item(text: str) -> dict[str, object]:
    parts = text.split(",")
    try:
        sku, quantity, price = parts
        return {"sku": sku.strip(), "qty": int(quantity), "unit_price": price.strip()}
    except ValueError:
        shown = text if len(text) <= 60 else f"{text[:60]}…"
        message = f"write {shown!r} as sku,quantity,price, for example TEA-CUP,4,6.50"
        raise InvalidOrder([Problem("items", message)]) from None
