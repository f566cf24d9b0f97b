"""What a person can ask for, as data; `send` asks the API and returns the answer as one line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from orderkit.client import OrderkitClient
from orderkit.console.state import LONG_AGO, STARTING, OrderRow
from orderkit.contract import AddressBody, StartOrder, UpdateAddressBody, checked
from orderkit.core.choices import Via, check_via
from orderkit.core.faults import parse_plan
from orderkit.core.orders import Address, check_order_id
from orderkit.errors import InvalidOrder, OrderConflict, Problem


@dataclass(frozen=True)
class Start:
    """Start an order."""

    order_id: str
    body: StartOrder


@dataclass(frozen=True)
class Decide:
    """Approve or reject an order in review."""

    order_id: str
    approve: bool
    who: str
    note: str = ""


@dataclass(frozen=True)
class Cancel:
    """Cancel an order."""

    order_id: str
    who: str
    reason: str = ""


@dataclass(frozen=True)
class ChangeAddress:
    """Send the package elsewhere."""

    order_id: str
    who: str
    address: Address


Command: TypeAlias = Start | Decide | Cancel | ChangeAddress


def start_commands(
    order_ids: list[str], *, policy: str, scenario: str, script: str, seed: int, review: str, deadline_seconds: float
) -> list[Start]:
    """From the form's fields; raises InvalidOrder or InvalidFaultPlan, which say what is wrong."""
    for order_id in order_ids:
        if problems := check_order_id(order_id):
            raise InvalidOrder(problems)
    plan = parse_plan(f"{scenario}; {script}", seed)
    body = StartOrder.of(plan, policy=policy, review=review, deadline=float(deadline_seconds))
    return [Start(order_id, body) for order_id in order_ids]


def change_address(order_id: str, who: str, **lines: str) -> ChangeAddress:
    """From the panel's fields; raises InvalidOrder."""
    return ChangeAddress(order_id, who, checked(AddressBody, lines).to_address())


def next_ids(base: str, taken: Iterable[str], copies: int = 1) -> list[str]:
    """Ids that are free as far as known. They count on from the highest, since only the newest orders are known."""
    known = set(taken)
    numbered = re.fullmatch(r"(.+)-(\d{1,9})", base)
    stem, number = (numbered[1], int(numbered[2])) if numbered else (base, 1)
    used = [int(match[1]) for each in known if (match := re.fullmatch(rf"{re.escape(stem)}-(\d{{1,9}})", each))]
    if copies == 1 and base not in known and number > max(used, default=0):
        return [base]
    first = max([*used, number - 1]) + 1
    return [f"{stem}-{number}" for number in range(first, first + copies)]


def starting_row(command: Start, now: datetime) -> OrderRow:
    """What is known of an order before the database knows it; anything read replaces it."""
    return OrderRow(
        order_id=command.order_id,
        state=STARTING,
        read_at=LONG_AGO,
        started_at=now,
        deadline_seconds=command.body.deadline,
        policy=command.body.policy,
        scenario=command.body.faults.scenario,
        review=command.body.review,
    )


async def send(command: Command, api: OrderkitClient, via: Via = "update") -> str:
    """Carry it out through the API; raises orderkit's errors."""
    check_via(via)
    order_id = command.order_id
    match command:
        case Start():
            if not (await api.start(order_id, command.body)).created:
                raise OrderConflict("this order was started before; choose another id")
            return "started"
        case Decide():
            _somebody(command.who)
            if via == "update":
                return (await api.review_now(order_id, command.approve, command.who, command.note)).message
            decide = api.approve if command.approve else api.reject
            return f"signal sent: {(await decide(order_id, command.who, command.note)).sent}"
        case Cancel():
            _somebody(command.who)
            if via == "update":
                return (await api.cancel_now(order_id, command.who, command.reason)).message
            return f"signal sent: {(await api.cancel(order_id, command.who, command.reason)).sent}"
        case ChangeAddress():
            _somebody(command.who)
            body = UpdateAddressBody(new_address=AddressBody.of(command.address), updated_by=command.who)
            if via == "update":
                return (await api.update_address_now(order_id, body)).message
            return f"signal sent: {(await api.update_address(order_id, body)).sent}"


def _somebody(who: str) -> None:
    if not who.strip():
        raise InvalidOrder([Problem("who", "say who you are; it is kept with the order")])
