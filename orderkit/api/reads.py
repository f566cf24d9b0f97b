"""Status, list, events, attempts and history of orders."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from orderkit.api import lookup
from orderkit.api.backends import Backends
from orderkit.api.cursors import from_cursor, to_cursor
from orderkit.api.history import summarise
from orderkit.api.parameters import OrderIdPath
from orderkit.api.problems import documented
from orderkit.contract import (
    CURSOR,
    ORDER_ID,
    AttemptLine,
    AttemptList,
    Event,
    EventPage,
    History,
    OrderLine,
    OrderPage,
    OrderStatus,
)
from orderkit.core.orders import OrderState, order_workflow_id, shipping_workflow_id
from orderkit.errors import OrderNotFound
from orderkit.store.events import OrderFilter, Reader
from orderkit.store.rows import Row
from orderkit.temporal import orders as temporal

After = Annotated[int, Query(ge=0, le=2**63 - 1, description="the id of the last event you have")]
Limit = Annotated[int, Query(ge=1, le=1000)]


def read_routes(backends: Backends) -> APIRouter:
    """GET /orders and what is below an order."""
    router = APIRouter(tags=["orders"], responses=documented())

    @router.get("/orders")
    async def list_orders(
        answer: Response,
        state: Annotated[OrderState | None, Query()] = None,
        prefix: Annotated[str | None, Query(pattern=ORDER_ID, description="what the ids start with")] = None,
        cursor: Annotated[str | None, Query(pattern=CURSOR, description="`next_cursor` of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> OrderPage:
        """Orders, newest first."""
        before = from_cursor(cursor) if cursor else None
        wanted = OrderFilter(state=state, prefix=prefix, before=before, most=limit + 1)
        rows = await backends.look(lambda pool: Reader(pool).orders(wanted), answer)
        page = rows[:limit]
        more = to_cursor(page[-1]["created_at"], page[-1]["id"]) if len(rows) > limit else None
        total = len(page) if before is None else None
        if more and before is None:
            total = await backends.look(lambda pool: Reader(pool).count(wanted), answer)
        lines = [OrderLine(order_id=row["id"], **_without_id(row)) for row in page]
        return OrderPage(orders=lines, next_cursor=more, total=total)

    @router.get("/orders/{order_id}/status", responses=documented(404))
    async def order_status(order_id: OrderIdPath, answer: Response) -> OrderStatus:
        """Where an order stands, by the database; true also while workers, Temporal or the history are gone."""
        return await lookup.status(backends, order_id, answer)

    @router.get("/orders/{order_id}/events", responses=documented(404))
    async def order_events(order_id: OrderIdPath, answer: Response, after: After = 0, limit: Limit = 1000) -> EventPage:
        """What happened to an order, oldest first."""
        rows = await backends.look(lambda pool: Reader(pool).events(order_id, after, limit + 1), answer, order_id)
        if not rows:
            await lookup.check_known(backends, order_id)
        events = [to_event(row) for row in rows[:limit]]
        return EventPage(events=events, next_after=events[-1].id if len(rows) > limit else None)

    @router.get("/orders/{order_id}/attempts", responses=documented(404))
    async def order_attempts(order_id: OrderIdPath, answer: Response) -> AttemptList:
        """Each attempt of each step, with its duration and its end."""
        rows = await backends.look(lambda pool: Reader(pool).attempts(order_id), answer, order_id)
        if not rows:
            await lookup.check_known(backends, order_id)
        return AttemptList(attempts=[AttemptLine.model_validate(dict(row)) for row in rows])

    @router.get("/orders/{order_id}/history", responses=documented(404))
    async def order_history(
        order_id: OrderIdPath,
        shipping_run: Annotated[
            int | None,
            Query(ge=1, le=10_000, description="the history of that ShippingWorkflow instead of OrderWorkflow's"),
        ] = None,
        after: After = 0,
        limit: Limit = 1000,
    ) -> History:
        """Temporal's own history: names, attempts, timers and failures, without payloads."""
        workflow_id = (
            order_workflow_id(order_id) if shipping_run is None else shipping_workflow_id(order_id, shipping_run)
        )
        try:
            run_id, status, events = await temporal.history(backends.temporal, workflow_id)
        except OrderNotFound:
            await lookup.check_known(backends, order_id)
            raise OrderNotFound(f"Temporal has no history of {workflow_id}, or none any more") from None
        rest = [event for event in events if event.event_id > after]
        page = [summarise(event) for event in rest[:limit]]
        more = page[-1].id if len(rest) > limit else None
        return History(workflow_id=workflow_id, run_id=run_id, status=status, events=page, next_after=more)

    return router


def to_event(row: Row) -> Event:
    """A row of trellis_events."""
    return Event.model_validate({**row, "payload": row["payload_json"]})


def _without_id(row: Row) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "id"}
