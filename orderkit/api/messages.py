"""Signals, which are sent, and updates, which are answered."""

from __future__ import annotations

import asyncio
import uuid
from typing import Literal

from fastapi import APIRouter

from orderkit.api.backends import Backends
from orderkit.api.lookup import check_open, why_no_answer, why_not_heard
from orderkit.api.parameters import IdempotencyKey, OrderIdPath
from orderkit.api.problems import documented
from orderkit.contract import CancelBody, DecisionBody, MessageSent, ReviewBody, UpdateAddressBody, UpdateDone
from orderkit.core.messages import check_message
from orderkit.core.orders import OrderId
from orderkit.errors import DependencyUnavailable, InvalidOrder, OrderNotFound
from orderkit.temporal import orders as temporal

SignalName = Literal["cancel", "update-address", "approve", "reject"]
_SIGNALS: dict[SignalName, str] = {
    "cancel": "cancel_order",
    "update-address": "update_address",
    "approve": "approve_order",
    "reject": "reject_order",
}


def _check(message: temporal.Signal | temporal.Update) -> None:
    if problems := check_message(message):
        raise InvalidOrder(problems)


def signal_routes(backends: Backends) -> APIRouter:
    """POST /orders/{order_id}/signals/…"""
    router = APIRouter(prefix="/orders/{order_id}/signals", tags=["signals"], responses=documented(404, 409, 413, 415))

    async def send(order_id: OrderId, name: SignalName, message: temporal.Signal) -> MessageSent:
        _check(message)
        # Both at once, the slower one first: a workflow whose order has ended ignores messages.
        failed, away = await asyncio.gather(
            temporal.signal(backends.temporal, order_id, _SIGNALS[name], message),
            check_open(backends, order_id),
            return_exceptions=True,
        )
        if isinstance(away, BaseException) and not isinstance(away, DependencyUnavailable):
            raise away  # the order is closed
        if isinstance(failed, OrderNotFound):
            raise await why_no_answer(backends, order_id, away)
        if isinstance(failed, DependencyUnavailable):
            raise await why_not_heard(backends, order_id, failed)
        if failed is not None:
            raise failed
        backends.replica.touch(order_id)
        return MessageSent(order_id=order_id, sent=name)

    @router.post("/cancel", status_code=202)
    async def signal_cancel(order_id: OrderIdPath, body: CancelBody) -> MessageSent:
        """Ask to cancel; honoured until the carrier has the package."""
        return await send(order_id, "cancel", body.to_message())

    @router.post("/update-address", status_code=202)
    async def signal_update_address(order_id: OrderIdPath, body: UpdateAddressBody) -> MessageSent:
        """Ask to send the package elsewhere; honoured until the carrier has it."""
        return await send(order_id, "update-address", body.to_message())

    @router.post("/approve", status_code=202)
    async def signal_approve(order_id: OrderIdPath, body: DecisionBody) -> MessageSent:
        """Approve the order in review."""
        return await send(order_id, "approve", body.to_message())

    @router.post("/reject", status_code=202)
    async def signal_reject(order_id: OrderIdPath, body: DecisionBody) -> MessageSent:
        """Reject the order in review, which cancels it."""
        return await send(order_id, "reject", body.to_message())

    return router


def update_routes(backends: Backends) -> APIRouter:
    """POST /orders/{order_id}/updates/…"""
    router = APIRouter(prefix="/orders/{order_id}/updates", tags=["updates"], responses=documented(404, 409, 413, 415))

    async def carry_out(order_id: OrderId, name: str, message: temporal.Update, key: str | None) -> UpdateDone:
        _check(message)
        update_id = f"{name}-{key or uuid.uuid4()}"
        try:
            answer = await temporal.update(backends.temporal, order_id, name, message, update_id)
        except OrderNotFound:
            raise await why_no_answer(backends, order_id) from None
        except DependencyUnavailable as error:
            raise await why_not_heard(backends, order_id, error) from None
        backends.replica.touch(order_id)
        return UpdateDone(order_id=order_id, message=answer.message)

    @router.post("/cancel")
    async def update_cancel(
        order_id: OrderIdPath, body: CancelBody, idempotency_key: IdempotencyKey = None
    ) -> UpdateDone:
        """Cancel, and hear whether it was in time."""
        return await carry_out(order_id, "cancel", body.to_message(), idempotency_key)

    @router.post("/address")
    async def update_address(
        order_id: OrderIdPath, body: UpdateAddressBody, idempotency_key: IdempotencyKey = None
    ) -> UpdateDone:
        """Send the package elsewhere, and hear whether it was in time."""
        return await carry_out(order_id, "address", body.to_message(), idempotency_key)

    @router.post("/review")
    async def update_review(
        order_id: OrderIdPath, body: ReviewBody, idempotency_key: IdempotencyKey = None
    ) -> UpdateDone:
        """Approve or reject, and hear whether it counts."""
        return await carry_out(order_id, "review", body.to_review(), idempotency_key)

    return router
