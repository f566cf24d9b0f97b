"""Starting an order, once."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Body, Response

from orderkit.api.backends import Backends
from orderkit.api.parameters import OrderIdPath
from orderkit.api.problems import documented
from orderkit.contract import OrderStarted, StartOrder
from orderkit.core.orders import OrderId, OrderInput, check_order, order_workflow_id, request_digest
from orderkit.errors import OrderConflict, OrderNotFound
from orderkit.store.rows import to_amount
from orderkit.store.status import order_identity
from orderkit.temporal import orders as temporal

DEFAULT_ORDER = StartOrder()


def start_routes(backends: Backends) -> APIRouter:
    """POST /orders/{order_id}/start."""
    router = APIRouter(tags=["orders"])

    @router.post(
        "/orders/{order_id}/start",
        status_code=201,
        responses={
            200: {"model": OrderStarted, "description": "The same request started it before; nothing was started."},
            **documented(409, 413, 415),
        },
    )
    async def start_order(
        order_id: OrderIdPath, response: Response, body: Annotated[StartOrder, Body()] = DEFAULT_ORDER
    ) -> OrderStarted:
        """Start an order. The same request again starts nothing (200); a different one under the same id is 409."""
        order = body.to_order(order_id)
        check_order(order)
        created = await start_once(backends, order)
        backends.replica.touch(order_id)
        response.status_code = 201 if created else 200
        response.headers["Location"] = f"/orders/{order_id}/status"
        return OrderStarted(
            order_id=order_id,
            workflow_id=order_workflow_id(order_id),
            amount=to_amount(order.amount_cents).quantize(Decimal("0.01")),
            created=created,
        )

    return router


async def start_once(backends: Backends, order: OrderInput) -> bool:
    """Start the order unless this very request did; False then. Raises OrderConflict for a different request.

    The database is asked first: it remembers orders whose history Temporal has forgotten.
    """
    order_id = OrderId(order.order_id)
    found = await backends.read(lambda pool: order_identity(pool, order_id))
    if found is None:
        if await temporal.start(backends.temporal, order, backends.starts):
            return True
        known_digest = await _digest_in_temporal(backends, order_id)
    else:
        known_digest = found.request_digest
    if known_digest != request_digest(order):
        raise OrderConflict(f"another order has the id {order_id}; use a new id, or the same request")
    return False


async def _digest_in_temporal(backends: Backends, order_id: OrderId) -> str | None:
    try:
        return (await temporal.view(backends.temporal, order_id)).request_digest
    except OrderNotFound:
        return None  # its retention ended this moment
