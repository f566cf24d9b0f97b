"""`lab.orders`: start orders, talk to them, wait for them, and read what happened, as DataFrames."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager, suppress
from typing import TYPE_CHECKING, cast

from orderkit.client import OrderkitClient
from orderkit.contract import Event, StartOrder, UpdateAddressBody, checked
from orderkit.core.choices import Via, check_choice, check_via
from orderkit.core.events import STATE_EVENTS
from orderkit.core.faults import FaultPlan
from orderkit.core.orders import Address, OrderId, order_workflow_id
from orderkit.core.steps import Step
from orderkit.errors import (
    DependencyUnavailable,
    OrderConflict,
    OrderkitError,
    OrderNotFound,
    WaitExpired,
)
from orderkit.lab.display import Links, Order
from orderkit.lab.evidence import explain
from orderkit.lab.inputs import ItemTuple, address_of, check_name, check_seconds, item_fields, read_plan
from orderkit.lab.numbering import body_of, numbered
from orderkit.lab.tables import Tables

if TYPE_CHECKING:
    import pandas as pd
    from temporalio.client import Client

_EVENTS = {state.value: event for state, event in STATE_EVENTS.items()}


class Orders:
    """Orders by the names that this notebook gives them.

    `start("tea")` always starts a new order. Its id is `tea`, or `tea-2`, `tea-3` … when the name is taken, so that a
    cell, or the whole notebook, can be run again on the same stack. Everything shown says `tea` all the same: a
    notebook's output does not depend on what ran before it. `order.id` has the real id, which Temporal's UI shows.

    The price: faults are drawn from the order's id, so `tea-2` would draw others than `tea`. A numbered order therefore
    carries the scenario's draws for its plain name as a script (100 attempts of each step; the scenario's name stays).
    """

    def __init__(
        self, api: OrderkitClient, tables: Tables, connect: Callable[[], Awaitable[Client]], ui_url: str
    ) -> None:
        self._api = api
        self._tables = tables
        self._connect = connect
        self._ui_url = ui_url
        self._ids: dict[str, OrderId] = {}
        self._numbers: dict[str, int] = {}  # of each name's last order
        self._run = 1  # what earlier notebooks on this stack have left free

    @property
    def started(self) -> dict[str, OrderId]:
        """The orders of this notebook, oldest first: name and id of the last one of each name."""
        return dict(self._ids)

    async def start(
        self,
        name: str,
        *,
        faults: str | FaultPlan = "calm",
        seed: int = 0,
        policy: str = "spec",
        review: str = "auto",
        review_seconds: float = 2.0,
        deadline: float = 15.0,
        items: Sequence[ItemTuple] | None = None,
        address: Address | Mapping[str, str] | str | None = None,
        payment_id: str = "",
        fresh: bool = True,
    ) -> Order:
        """Start a new order. `fresh=False` sends the request again under the name's present id, which starts nothing.

        `faults` is a scenario (calm, workshop, original, storm), a script like `charge=error,ok`, or both. A
        `payment_id` of your own is numbered as the order's id is: `tea-2` pays with `pay-7-2`. Raises InvalidOrder and
        InvalidFaultPlan, which name what is wrong, and OrderConflict for a changed repetition.
        """
        check_name(name)
        fields: dict[str, object] = {
            "policy": policy,
            "review": review,
            "review_seconds": review_seconds,
            "deadline": deadline,
            "payment_id": payment_id,
        }
        if items is not None:
            fields["items"] = item_fields(items)
        if address is not None:
            fields["initial_address"] = address_of(address)
        body = StartOrder.of(read_plan(faults, seed), **fields)
        if not fresh and name in self._ids:
            await self._api.start(self._ids[name], body_of(body, name, self._numbers[name]))
            return Order(name, self._ids[name])
        number = max(self._run, self._numbers.get(name, 0) + 1)
        while not await self._created(order_id := OrderId(numbered(name, number)), body_of(body, name, number)):
            number += 1
        if name not in self._numbers:
            self._run = number
        self._numbers[name] = number
        self._ids.pop(name, None)
        self._ids[name] = order_id
        return Order(name, order_id)

    async def status(self, order: Order | str) -> Order:
        """Look at an order now."""
        order = await self.find(order)
        with _named(order):
            status, attempts = await asyncio.gather(self._api.status(order.id), self._api.attempts(order.id))
        return order.seen(status, attempts)

    async def wait(self, order: Order | str, within_seconds: float = 30, until: str | None = None) -> Order:
        """Wait for an order's end, or until it reaches a state (`in_review`, `charged` …) or starts a step (`charge`).

        Raises WaitExpired, which explains from evidence what holds the order up. An order that ends without ever coming
        by `until` is returned as it ended.
        """
        check_seconds("within_seconds", within_seconds)
        if until is not None:
            check_choice("until", until, [*_EVENTS, *Step])
        order = await self.find(order)
        reached = False
        with _named(order):
            async with aclosing(
                cast(AsyncGenerator[Event, None], self._api.stream(order.id, 0, within_seconds))
            ) as events:
                async for event in events:
                    if until is not None and (event.type == _EVENTS.get(until) or event.step == until):
                        reached = True
                        break
            try:
                now = await self.status(order)
            except DependencyUnavailable:
                now = order
        if not reached and now.outcome is None:
            raise await self._expired(now, within_seconds, until)
        if now.last is not None and now.outcome:
            await self._closed(now)
            with suppress(DependencyUnavailable):
                now = await self.status(now)  # the last step's end is written a moment after the order's
        return now

    async def cancel(
        self, order: Order | str, reason: str = "changed my mind", by: str = "you", via: Via = "signal"
    ) -> str:
        """Ask to cancel. A signal is only sent; an update answers, or raises MessageRefused."""
        check_via(via)
        order = await self.find(order)
        with _named(order):
            if via == "update":
                return (await self._api.cancel_now(order.id, by, reason)).message
            return f"sent: {(await self._api.cancel(order.id, by, reason)).sent}"

    async def change_address(
        self, order: Order | str, address: Address | Mapping[str, str] | str, by: str = "you", via: Via = "signal"
    ) -> str:
        """Ask to send the package elsewhere: an Address, or `street, city, state, zip`. See `cancel` for `via`."""
        check_via(via)
        change = checked(UpdateAddressBody, {"new_address": address_of(address), "updated_by": by})
        order = await self.find(order)
        with _named(order):
            if via == "update":
                return (await self._api.update_address_now(order.id, change)).message
            return f"sent: {(await self._api.update_address(order.id, change)).sent}"

    async def approve(self, order: Order | str, note: str = "", by: str = "you", via: Via = "signal") -> str:
        """Approve an order in review; see `cancel` for `via`."""
        check_via(via)
        order = await self.find(order)
        with _named(order):
            if via == "update":
                return (await self._api.review_now(order.id, True, by, note)).message
            return f"sent: {(await self._api.approve(order.id, by, note)).sent}"

    async def reject(self, order: Order | str, note: str = "", by: str = "you", via: Via = "signal") -> str:
        """Reject an order in review, which cancels it; see `cancel` for `via`."""
        check_via(via)
        order = await self.find(order)
        with _named(order):
            if via == "update":
                return (await self._api.review_now(order.id, False, by, note)).message
            return f"sent: {(await self._api.reject(order.id, by, note)).sent}"

    async def attempts(self, *orders: Order | str, full: bool = False) -> pd.DataFrame:
        """Each attempt of each step, in the order they started: step, attempt, outcome, error.

        `full` has every column of analysis.frames.ATTEMPTS: times, workers, ids.
        """
        return await self._tables.attempts([await self.find(order) for order in orders], full)

    async def events(self, order: Order | str, full: bool = False) -> pd.DataFrame:
        """The rows of trellis_events: type, step, attempt, outcome; `full` as analysis.frames.EVENTS."""
        return await self._tables.events(await self.find(order), full)

    async def timeline(self, order: Order | str, full: bool = False) -> pd.DataFrame:
        """Attempts and events in sequence: kind, name, attempt, outcome, detail; `full` as frames.TIMELINE."""
        return await self._tables.timeline(await self.find(order), full)

    async def ledger(self, *orders: Order | str, full: bool = False) -> pd.DataFrame:
        """What the payment provider and the carrier say: who, kind, amount; `full` as analysis.frames.LEDGER."""
        return await self._tables.ledger([await self.find(order) for order in orders], full)

    async def history(self, order: Order | str, full: bool = False) -> pd.DataFrame:
        """What Temporal says: workflow, type, name, attempt; `full` has ids, times and workflow tasks too."""
        order = await self.find(order)
        with _named(order):
            return await self._tables.history(order, full)

    async def links(self, order: Order | str) -> Links:
        """Where Temporal's UI shows the order and its shipping."""
        order = await self.find(order)
        page = f"{self._ui_url}/namespaces/{(await self._connect()).namespace}/workflows"
        return Links({f"{order.name} in Temporal's UI": f"{page}/{order_workflow_id(order.id)}"})

    async def find(self, order: Order | str) -> Order:
        """The order that a name means: this notebook's last, else the newest on the stack. Raises OrderNotFound."""
        if isinstance(order, Order):
            return order
        if check_name(order) in self._ids:
            return Order(order, self._ids[order])
        cursor: str | None = None
        while True:
            page = await self._api.list(prefix=order, limit=500, cursor=cursor)
            for line in page.orders:
                if re.fullmatch(rf"{re.escape(order)}(-\d+)?", line.order_id):
                    return Order(order, OrderId(line.order_id))
            if (cursor := page.next_cursor) is None:
                break
        try:
            await self._api.status(order)  # Temporal knows it a moment before the database does
        except OrderNotFound:
            hint = f"start it first: await lab.orders.start({order!r})"
            raise OrderNotFound(f"nobody knows an order {order}; {hint}") from None
        return Order(order, OrderId(order))

    async def _created(self, order_id: OrderId, body: StartOrder) -> bool:
        """Start an order; False when the id is taken, by the same request or by another."""
        try:
            return (await self._api.start(order_id, body)).created
        except OrderConflict:
            return False

    async def _closed(self, order: Order) -> None:
        """Wait for the workflow's end, too: it comes a moment after the order is closed in the database."""
        from temporalio.client import WorkflowHistoryEventFilterType
        from temporalio.service import RPCError

        try:
            async with asyncio.timeout(5):
                handle = (await self._connect()).get_workflow_handle(order.workflow_id)
                async for _ in handle.fetch_history_events(
                    wait_new_event=True, event_filter_type=WorkflowHistoryEventFilterType.CLOSE_EVENT
                ):
                    return
        except (OrderkitError, RPCError, TimeoutError):
            return  # Temporal is away, or has deleted the workflow: the database decides

    async def _expired(self, order: Order, within_seconds: float, until: str | None) -> WaitExpired:
        evidence = await explain(order.id, self._api, self._connect)
        missed = f"did not reach {until}" if until else "has not ended"
        what = f"order {order.name} {missed} within {within_seconds:g} s; it is {order.state}"
        return WaitExpired(what, [line.replace(order.id, order.name) for line in evidence])


@contextmanager
def _named(order: Order) -> Iterator[None]:
    """Let errors call the order by its name."""
    try:
        yield
    except OrderkitError as error:
        if order.id != order.name:
            error.args = tuple(arg.replace(order.id, order.name) if isinstance(arg, str) else arg for arg in error.args)
        raise
