"""A typed client of the REST API; errors come back as orderkit's own."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Container
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, SecretStr

from orderkit.client.connections import open_connections
from orderkit.client.errors import to_error
from orderkit.contract import (
    AttemptList,
    CancelBody,
    DecisionBody,
    Event,
    EventPage,
    Health,
    History,
    MessageSent,
    OrderPage,
    OrderStarted,
    OrderStatus,
    ReviewBody,
    StartOrder,
    StreamEnd,
    UpdateAddressBody,
    UpdateDone,
    checked,
)
from orderkit.core.events import STATE_EVENTS
from orderkit.core.orders import ENDS, OrderState, check_order_id
from orderkit.errors import DependencyUnavailable, InvalidOrder
from orderkit.event_loops import PerLoop

A = TypeVar("A", bound=BaseModel)

_AGAIN_SECONDS = 0.5


def _path(order_id: str, rest: str) -> str:
    """Raises InvalidOrder for an id that would lead elsewhere."""
    if problems := check_order_id(order_id):
        raise InvalidOrder(problems)
    return f"/orders/{order_id}/{rest}"


class OrderkitClient:
    """`async with OrderkitClient(url) as client: await client.start("A-1")`. Every call is bounded in time.

    Works in every event loop, and after it was closed: a call opens the connections that it needs. Raises
    OrderNotFound, OrderConflict, OrderClosed, MessageRefused, InvalidOrder, and DependencyUnavailable.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        api_key: SecretStr | str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        key = api_key.get_secret_value() if isinstance(api_key, SecretStr) else api_key
        self.base_url = base_url
        self._connections = PerLoop(lambda: open_connections(base_url, key, transport))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Let go of the connections; the next call opens new ones."""
        await self._connections.aclose()

    async def start(self, order_id: str, order: StartOrder | None = None) -> OrderStarted:
        """Start an order; the same request again starts nothing."""
        return await self._post(OrderStarted, _path(order_id, "start"), order or StartOrder())

    async def status(self, order_id: str) -> OrderStatus:
        """Where an order stands."""
        return await self._get(OrderStatus, _path(order_id, "status"))

    async def cancel(self, order_id: str, cancelled_by: str, reason: str = "") -> MessageSent:
        """Ask to cancel."""
        body = checked(CancelBody, {"reason": reason, "cancelled_by": cancelled_by})
        return await self._post(MessageSent, _path(order_id, "signals/cancel"), body)

    async def update_address(self, order_id: str, change: UpdateAddressBody) -> MessageSent:
        """Ask to send the package elsewhere."""
        return await self._post(MessageSent, _path(order_id, "signals/update-address"), change)

    async def approve(self, order_id: str, reviewer: str, note: str = "") -> MessageSent:
        """Approve the order in review."""
        body = checked(DecisionBody, {"reviewer": reviewer, "note": note})
        return await self._post(MessageSent, _path(order_id, "signals/approve"), body)

    async def reject(self, order_id: str, reviewer: str, note: str = "") -> MessageSent:
        """Reject the order in review."""
        body = checked(DecisionBody, {"reviewer": reviewer, "note": note})
        return await self._post(MessageSent, _path(order_id, "signals/reject"), body)

    async def cancel_now(self, order_id: str, cancelled_by: str, reason: str = "") -> UpdateDone:
        """Cancel, and hear whether it was in time; raises MessageRefused."""
        body = checked(CancelBody, {"reason": reason, "cancelled_by": cancelled_by})
        return await self._update(order_id, "cancel", body)

    async def update_address_now(self, order_id: str, change: UpdateAddressBody) -> UpdateDone:
        """Send the package elsewhere, and hear whether it was in time; raises MessageRefused."""
        return await self._update(order_id, "address", change)

    async def review_now(self, order_id: str, approve: bool, reviewer: str, note: str = "") -> UpdateDone:
        """Approve or reject, and hear whether it counts; raises MessageRefused."""
        body = checked(ReviewBody, {"approve": approve, "reviewer": reviewer, "note": note})
        return await self._update(order_id, "review", body)

    async def list(
        self, state: OrderState | None = None, prefix: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> OrderPage:
        """One page of orders, newest first."""
        return await self._get(OrderPage, "/orders", state=state, prefix=prefix, limit=limit, cursor=cursor)

    async def events(self, order_id: str, after: int = 0) -> EventPage:
        """Everything that happened to an order, oldest first, from all pages."""
        page = await self._get(EventPage, _path(order_id, "events"), after=after)
        events = page.events
        while page.next_after is not None:
            page = await self._get(EventPage, _path(order_id, "events"), after=page.next_after)
            events = events + page.events
        return EventPage(events=events, next_after=None)

    async def attempts(self, order_id: str) -> AttemptList:
        """Each attempt of each step."""
        return await self._get(AttemptList, _path(order_id, "attempts"))

    async def history(self, order_id: str, shipping_run: int | None = None) -> History:
        """Temporal's own history of OrderWorkflow, or of that run of ShippingWorkflow, from all pages."""
        path = _path(order_id, "history")
        page = await self._get(History, path, shipping_run=shipping_run)
        events = page.events
        while page.next_after is not None:
            page = await self._get(History, path, shipping_run=shipping_run, after=page.next_after)
            events = events + page.events
        return page.model_copy(update={"events": events})

    async def health(self) -> Health:
        """What the API sees of its servers; answers also while it is degraded."""
        response = await self.request("GET", "/health", fine=(503,))
        return Health.model_validate_json(response.content)

    async def stream(self, order_id: str, after: int = 0, within_seconds: float = 60) -> AsyncIterator[Event]:
        """An order's events as they happen, until it has ended or the time is up; connects again after a break.

        Of hundreds at once, some have no connection of their own: they look again and again.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + within_seconds
        first, seen = after, set[int]()
        while loop.time() < until:
            with (await self._connections.get()).turn() as turn:
                messages = self._stream_once(order_id, after) if turn.streams else self._look_once(order_id, first)
                try:
                    while True:
                        # Around one step, not around the loop: a timeout must not strike in the caller's code.
                        async with asyncio.timeout_at(until):
                            message = await anext(messages)
                        if isinstance(message, StreamEnd):
                            return
                        if message.id not in seen:
                            seen.add(message.id)
                            after = max(after, message.id)
                            yield message
                except TimeoutError:
                    return
                except (StopAsyncIteration, DependencyUnavailable):
                    await asyncio.sleep(min(turn.again_seconds, max(0.0, until - loop.time())))
                finally:
                    await messages.aclose()

    async def wait(self, order_id: str, within_seconds: float = 60) -> OrderStatus:
        """The status once the order has ended, or when the time is up; goes on after a break."""
        loop = asyncio.get_running_loop()
        until = loop.time() + within_seconds
        async for _ in self.stream(order_id, within_seconds=within_seconds):
            pass
        while True:
            try:
                return await self.status(order_id)
            except DependencyUnavailable:
                if loop.time() >= until:
                    raise
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _stream_once(self, order_id: str, after: int) -> AsyncGenerator[Event | StreamEnd, None]:
        """The messages of one connection."""
        headers = {"Last-Event-ID": str(after)} if after else {}
        try:
            http = (await self._connections.get()).streams
            async with http.stream("GET", _path(order_id, "stream"), headers=headers) as response:
                if response.status_code == 204:
                    yield StreamEnd(state=(await self.status(order_id)).state)
                    return
                if response.is_error:
                    await response.aread()
                    raise to_error(response)
                kind = ""
                async for line in response.aiter_lines():
                    name, _, value = line.partition(": ")
                    if name == "event":
                        kind = value
                    elif name == "data":
                        told = json.loads(value)
                        yield StreamEnd.model_validate(told) if kind == "end" else Event.model_validate(told)
        except httpx.TransportError as error:
            raise self._away(error) from error

    async def _look_once(self, order_id: str, after: int) -> AsyncGenerator[Event | StreamEnd, None]:
        """What there is now. From the same event on each time: an earlier one may be committed after a later one."""
        events = (await self.events(order_id, after)).events
        for event in events:
            yield event
        for state in ENDS:
            if any(event.type == STATE_EVENTS[state] for event in events):
                yield StreamEnd(state=state.value)

    async def _update(self, order_id: str, name: str, body: BaseModel) -> UpdateDone:
        key = {"Idempotency-Key": str(uuid.uuid4())}
        return await self._post(UpdateDone, _path(order_id, f"updates/{name}"), body, key)

    async def _get(self, answer: type[A], path: str, **parameters: Any) -> A:
        given = {name: value for name, value in parameters.items() if value is not None}
        return answer.model_validate_json((await self.request("GET", path, params=given)).content)

    async def _post(self, answer: type[A], path: str, body: BaseModel, headers: dict[str, str] | None = None) -> A:
        everything = {**(headers or {}), "Content-Type": "application/json"}
        response = await self.request("POST", path, content=body.model_dump_json(), headers=everything)
        return answer.model_validate_json(response.content)

    async def request(self, method: str, path: str, fine: Container[int] = (), **more: Any) -> httpx.Response:
        """Any call, with httpx's arguments; an error's status raises, unless it is one of the `fine` ones."""
        try:
            response = await (await self._connections.get()).calls.request(method, path, **more)
        except httpx.TransportError as error:
            raise self._away(error) from error
        if response.is_error and response.status_code not in fine:
            raise to_error(response)
        return response

    def _away(self, error: httpx.TransportError) -> DependencyUnavailable:
        return DependencyUnavailable(
            "api", f"the API at {self.base_url} does not answer ({type(error).__name__})", "try: orderkit up"
        )
