"""A typed client of the REST API; errors come back as orderkit's own."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, SecretStr, ValidationError

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
    ProblemDocument,
    ReviewBody,
    StartOrder,
    StreamEnd,
    UpdateAddressBody,
    UpdateDone,
)
from orderkit.core.orders import OrderState, check_order_id
from orderkit.errors import (
    DependencyUnavailable,
    InvalidOrder,
    MessageRefused,
    OrderClosed,
    OrderConflict,
    OrderkitError,
    OrderNotFound,
    Problem,
    SettingsError,
)

A = TypeVar("A", bound=BaseModel)

_ERRORS: dict[str, type[OrderkitError]] = {
    "urn:orderkit:order-not-found": OrderNotFound,
    "urn:orderkit:order-conflict": OrderConflict,
    "urn:orderkit:order-closed": OrderClosed,
    "urn:orderkit:message-refused": MessageRefused,
    "urn:orderkit:api-key": SettingsError,
}


def to_error(response: httpx.Response) -> OrderkitError:
    """The error that a problem document tells."""
    try:
        told = ProblemDocument.model_validate_json(response.content)
    except ValidationError:
        return OrderkitError(f"{response.url.host} answered {response.status_code}, and not as orderkit does")
    if told.dependency:
        return DependencyUnavailable(told.dependency, told.detail)
    if told.type == "urn:orderkit:invalid-request":
        return InvalidOrder(
            [Problem(each.field, each.message) for each in told.errors or ()] or [Problem("", told.detail)]
        )
    return _ERRORS.get(told.type, OrderkitError)(told.detail)


def _path(order_id: str, rest: str) -> str:
    """Raises InvalidOrder for an id that would lead elsewhere."""
    if problems := check_order_id(order_id):
        raise InvalidOrder(problems)
    return f"/orders/{order_id}/{rest}"


class OrderkitClient:
    """`async with OrderkitClient(url) as client: await client.start("A-1")`. Every call is bounded in time.

    Raises OrderNotFound, OrderConflict, OrderClosed, MessageRefused, InvalidOrder, and DependencyUnavailable.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        api_key: SecretStr | str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        key = api_key.get_secret_value() if isinstance(api_key, SecretStr) else api_key
        # No proxy of the environment's: the API is on this machine, or named on purpose. Without TLS, no certificates
        # and no SSLKEYLOGFILE either: broken ones would end us for nothing.
        headers = {"X-API-Key": key} if key else {}
        self.http = httpx.AsyncClient(
            base_url=base_url,
            headers=headers,
            timeout=15,
            trust_env=False,
            verify=base_url.startswith("https:"),
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    async def start(self, order_id: str, order: StartOrder | None = None) -> OrderStarted:
        """Start an order; the same request again starts nothing."""
        return await self._post(OrderStarted, _path(order_id, "start"), order or StartOrder())

    async def status(self, order_id: str) -> OrderStatus:
        """Where an order stands."""
        return await self._get(OrderStatus, _path(order_id, "status"))

    async def cancel(self, order_id: str, cancelled_by: str, reason: str = "") -> MessageSent:
        """Ask to cancel."""
        body = CancelBody(reason=reason, cancelled_by=cancelled_by)
        return await self._post(MessageSent, _path(order_id, "signals/cancel"), body)

    async def update_address(self, order_id: str, change: UpdateAddressBody) -> MessageSent:
        """Ask to send the package elsewhere."""
        return await self._post(MessageSent, _path(order_id, "signals/update-address"), change)

    async def approve(self, order_id: str, reviewer: str, note: str = "") -> MessageSent:
        """Approve the order in review."""
        body = DecisionBody(reviewer=reviewer, note=note)
        return await self._post(MessageSent, _path(order_id, "signals/approve"), body)

    async def reject(self, order_id: str, reviewer: str, note: str = "") -> MessageSent:
        """Reject the order in review."""
        body = DecisionBody(reviewer=reviewer, note=note)
        return await self._post(MessageSent, _path(order_id, "signals/reject"), body)

    async def cancel_now(self, order_id: str, cancelled_by: str, reason: str = "") -> UpdateDone:
        """Cancel, and hear whether it was in time; raises MessageRefused."""
        return await self._update(order_id, "cancel", CancelBody(reason=reason, cancelled_by=cancelled_by))

    async def update_address_now(self, order_id: str, change: UpdateAddressBody) -> UpdateDone:
        """Send the package elsewhere, and hear whether it was in time; raises MessageRefused."""
        return await self._update(order_id, "address", change)

    async def review_now(self, order_id: str, approve: bool, reviewer: str, note: str = "") -> UpdateDone:
        """Approve or reject, and hear whether it counts; raises MessageRefused."""
        return await self._update(order_id, "review", ReviewBody(approve=approve, reviewer=reviewer, note=note))

    async def list(
        self, state: OrderState | None = None, prefix: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> OrderPage:
        """One page of orders, newest first."""
        return await self._get(OrderPage, "/orders", state=state, prefix=prefix, limit=limit, cursor=cursor)

    async def events(self, order_id: str, after: int = 0, limit: int = 1000) -> EventPage:
        """What happened to an order, oldest first."""
        return await self._get(EventPage, _path(order_id, "events"), after=after, limit=limit)

    async def attempts(self, order_id: str) -> AttemptList:
        """Each attempt of each step."""
        return await self._get(AttemptList, _path(order_id, "attempts"))

    async def history(self, order_id: str, shipping_run: int | None = None) -> History:
        """Temporal's own history of OrderWorkflow, or of that run of ShippingWorkflow."""
        return await self._get(History, _path(order_id, "history"), shipping_run=shipping_run)

    async def health(self) -> Health:
        """What the API sees of its servers; answers also while it is degraded."""
        response = await self._send(self.http.build_request("GET", "/health"), fine=(503,))
        return Health.model_validate_json(response.content)

    async def stream(self, order_id: str, after: int = 0, within_seconds: float = 60) -> AsyncIterator[Event]:
        """An order's events as they happen, until it has ended or the time is up; connects again after a break."""
        loop = asyncio.get_running_loop()
        until = loop.time() + within_seconds
        seen: set[int] = set()
        while loop.time() < until:
            messages = self._stream_once(order_id, after)
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
                await asyncio.sleep(0.2)
            finally:
                await messages.aclose()

    async def wait(self, order_id: str, within_seconds: float = 60) -> OrderStatus:
        """The status once the order has ended, or when the time is up."""
        async for _ in self.stream(order_id, within_seconds=within_seconds):
            pass
        return await self.status(order_id)

    async def _stream_once(self, order_id: str, after: int) -> AsyncGenerator[Event | StreamEnd, None]:
        """The messages of one connection."""
        headers = {"Last-Event-ID": str(after)} if after else {}
        try:
            async with self.http.stream("GET", _path(order_id, "stream"), headers=headers, timeout=30) as response:
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

    async def _update(self, order_id: str, name: str, body: BaseModel) -> UpdateDone:
        key = {"Idempotency-Key": str(uuid.uuid4())}
        return await self._post(UpdateDone, _path(order_id, f"updates/{name}"), body, key)

    async def _get(self, answer: type[A], path: str, **parameters: Any) -> A:
        given = {name: value for name, value in parameters.items() if value is not None}
        response = await self._send(self.http.build_request("GET", path, params=given))
        return answer.model_validate_json(response.content)

    async def _post(self, answer: type[A], path: str, body: BaseModel, headers: dict[str, str] | None = None) -> A:
        everything = {**(headers or {}), "Content-Type": "application/json"}
        request = self.http.build_request("POST", path, content=body.model_dump_json(), headers=everything)
        return answer.model_validate_json((await self._send(request)).content)

    async def _send(self, request: httpx.Request, fine: tuple[int, ...] = ()) -> httpx.Response:
        try:
            response = await self.http.send(request)
        except httpx.TransportError as error:
            raise self._away(error) from error
        if response.is_error and response.status_code not in fine:
            raise to_error(response)
        return response

    def _away(self, error: httpx.TransportError) -> DependencyUnavailable:
        return DependencyUnavailable(
            "api", f"the API at {self.http.base_url} does not answer ({type(error).__name__}); try: orderkit up"
        )
