"""The order's own records: `trellis_orders`, `trellis_payments` and their events."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime

import asyncpg

from orderkit.core.calls import RefundResult, RefusalInput, StopResult
from orderkit.core.events import AttemptState, EventType
from orderkit.core.messages import DEADLINE, Stop, StopKind, UpdateAddress
from orderkit.core.orders import (
    ENDS,
    STOPPABLE,
    Address,
    OrderId,
    OrderInput,
    OrderState,
    PaymentId,
    has_reached,
    order_workflow_id,
    request_digest,
    sources,
)
from orderkit.core.reasons import LastAttempt, deadline_reason
from orderkit.core.steps import FORWARD_STEPS, Step
from orderkit.errors import (
    InvalidOrder,
    KeyRefused,
    OrderConflict,
    OrderExists,
    OrderNotFound,
    Problem,
    StepRefused,
    first_line,
)
from orderkit.store.database import Pool
from orderkit.store.queries import queries
from orderkit.store.rows import Row, to_address, to_amount


class PostgresOrders:
    """The OrderStore port on PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def create(self, order: OrderInput, started_at: datetime, first_run_id: str = "") -> None:
        """Create the row; the same order again changes nothing.

        Raises OrderConflict for a different one, OrderExists for one that another workflow created, and InvalidOrder.
        """
        try:
            await self._create(order, started_at, first_run_id)
        except asyncpg.DataError as error:
            raise InvalidOrder([Problem("order", f"the database cannot hold it ({first_line(error)})")]) from None

    async def _create(self, order: OrderInput, started_at: datetime, first_run_id: str) -> None:
        digest = request_digest(order)
        created = await queries.create_order(
            self._pool,
            order_id=order.order_id,
            address=asdict(order.address),
            items=[asdict(item) for item in order.items],
            amount=to_amount(order.amount_cents),
            payment_id=order.payment_key,
            review=order.review,
            policy=order.policy.name,
            faults=asdict(order.faults),
            deadline_seconds=order.deadline_seconds,
            workflow_id=order_workflow_id(order.order_id),
            request_digest=digest,
            first_run_id=first_run_id or None,
            started_at=started_at,
        )
        if created is None:
            row = await queries.order_row(self._pool, order_id=order.order_id)
            if row["request_digest"] != digest:
                raise OrderConflict(f"another order has the id {order.order_id}")
            if first_run_id and not _is_own(row, first_run_id):
                raise OrderExists(f"order {order.order_id} exists already, with a workflow of its own")

    async def state(self, order_id: OrderId) -> OrderState:
        """The order's state; raises OrderNotFound."""
        state = await queries.order_state(self._pool, order_id=order_id)
        if state is None:
            raise OrderNotFound(f"no order {order_id}")
        return OrderState(state)

    async def move(self, order_id: OrderId, to: OrderState, event: EventType, payload: dict[str, str]) -> None:
        """Move the order to `to` unless it has been there. Raises StepRefused when its state forbids it."""
        moved = await queries.move_order(
            self._pool, order_id=order_id, to_state=to, from_states=sources(to), event=event, payload=payload
        )
        if moved is None:
            await self._check_reached(order_id, to)

    async def _check_reached(self, order_id: OrderId, to: OrderState) -> None:
        state = await self.state(order_id)
        if not has_reached(state, to):
            raise StepRefused(f"order {order_id} is {state}, it cannot become {to}")

    async def open_payment(
        self, order_id: OrderId, payment_id: PaymentId, amount_cents: int, approval: dict[str, str]
    ) -> None:
        """Approve the order, note the payment as pending. Raises StepRefused, or KeyRefused for a foreign id."""
        row = await queries.open_payment(
            self._pool, order_id=order_id, payment_id=payment_id, amount=to_amount(amount_cents), approval=approval
        )
        if row is None:
            await self._check_reached(order_id, OrderState.CHARGED)
        elif row["order_id"] != order_id:
            raise KeyRefused("the payment id belongs to another order; use a new one")

    async def payment_charged(self, order_id: OrderId, payment_id: PaymentId) -> None:
        """Note the payment as charged and move the order on. Raises StepRefused when it was stopped meanwhile."""
        if await queries.payment_charged(self._pool, order_id=order_id, payment_id=payment_id) is None:
            await self._check_reached(order_id, OrderState.CHARGED)

    async def payment_declined(self, order_id: OrderId, payment_id: PaymentId, reason: str) -> None:
        """Note the payment as declined."""
        await queries.payment_declined(self._pool, order_id=order_id, payment_id=payment_id, reason=reason)

    async def payment_voided(self, order_id: OrderId, payment_id: PaymentId, refund: RefundResult) -> None:
        """Note the payment as refunded, or as voided when nothing had gone through."""
        await queries.payment_voided(
            self._pool,
            order_id=order_id,
            payment_id=payment_id,
            status="refunded" if refund.charged_cents else "voided",
            amount=to_amount(refund.charged_cents),
            refunded=to_amount(refund.refunded_cents),
        )

    async def address(self, order_id: OrderId) -> tuple[Address, int]:
        """The address and its version, of a shipped order too, since a reset dispatches again. Raises StepRefused."""
        row = await queries.order_address(self._pool, order_id=order_id)
        if row is None:
            raise OrderNotFound(f"no order {order_id}")
        if OrderState(row["state"]) not in STOPPABLE | {OrderState.DISPATCHED, OrderState.SHIPPED}:
            raise StepRefused(f"order {order_id} is {row['state']}, it cannot be dispatched")
        return to_address(row["address_json"]), row["address_version"]

    async def change_address(self, order_id: OrderId, change: UpdateAddress, superseded: int) -> OrderState | None:
        """Change the address before dispatch; None when changed or the same already, else the state that forbids it."""
        changed = await queries.change_address(
            self._pool,
            order_id=order_id,
            address=asdict(change.new_address),
            updated_by=change.updated_by,
            superseded=superseded,
        )
        if changed is not None:
            return None
        row = await queries.order_address(self._pool, order_id=order_id)
        if row is None:
            raise OrderNotFound(f"no order {order_id}")
        same = to_address(row["address_json"]) == change.new_address
        return None if same else OrderState(row["state"])

    async def dispatched(self, order_id: OrderId, address_version: int, tracking: str) -> bool:
        """Pass the point of no return; False when the address changed meanwhile. Raises StepRefused when stopped."""
        moved = await queries.order_dispatched(
            self._pool, order_id=order_id, address_version=address_version, tracking=tracking
        )
        if moved is not None:
            return True
        state = await self.state(order_id)
        if state is OrderState.PREPARED:
            return False
        if not has_reached(state, OrderState.DISPATCHED):
            raise StepRefused(f"order {order_id} is {state}, it cannot be dispatched")
        return True

    async def stop(self, order_id: OrderId, stop: Stop) -> StopResult:
        """Stop the order unless it is dispatched. Raises OrderNotFound without a row."""
        if stop.by == DEADLINE and stop.kind is StopKind.FAILED:
            stop = replace(stop, reason=await self._deadline_reason(order_id))
        moved = await queries.stop_order(self._pool, order_id=order_id, kind=stop.kind, reason=stop.reason, by=stop.by)
        if moved is not None:
            return StopResult(True, stop)
        row = await queries.order_row(self._pool, order_id=order_id)
        if row is None:
            raise OrderNotFound(f"no order {order_id}")
        if has_reached(OrderState(row["state"]), OrderState.DISPATCHED):
            return StopResult(False)
        return StopResult(True, Stop(StopKind(row["stop_kind"]), row["stop_reason"], row["stopped_by"]))

    async def _deadline_reason(self, order_id: OrderId) -> str:
        row = await queries.last_forward_attempt(self._pool, order_id=order_id, steps=list(FORWARD_STEPS))
        if row is None:
            raise OrderNotFound(f"no order {order_id}")
        last = None
        if row["step"] is not None:
            last = LastAttempt(Step(row["step"]), row["attempt"], AttemptState(row["outcome"]), row["error"])
        return deadline_reason(row["deadline_seconds"], OrderState(row["state"]), last)

    async def note_refusal(self, refusal: RefusalInput, run_id: str, activity_id: str) -> None:
        """Note a refused message; once for each activity."""
        payload = {"message": refusal.message, "reason": refusal.reason, "count": refusal.count}
        await queries.note_about_workflow(
            self._pool,
            order_id=refusal.order_id,
            event=EventType.MESSAGE_REFUSED,
            payload=payload,
            run_id=run_id,
            note_id=activity_id,
        )

    async def shipment_recalled(self, order_id: OrderId, had_package: bool) -> None:
        """Note once that the carrier was told to give the package back."""
        await queries.shipment_recalled(self._pool, order_id=order_id, had_package=had_package)

    async def close(self, order_id: OrderId, kind: StopKind, reason: str) -> None:
        """Give a stopped order its final state."""
        closed = await queries.close_order(self._pool, order_id=order_id, state=kind, reason=reason)
        if closed is None and (state := await self.state(order_id)) not in ENDS:
            raise StepRefused(f"order {order_id} is {state}, it cannot be closed")

    async def open_orders(self, most: int) -> list[tuple[OrderId, PaymentId, str]]:
        """Orders that have not ended, oldest first: id, payment, workflow id."""
        rows = queries.open_orders(self._pool, most=most)
        return [(row["id"], row["payment_id"], row["workflow_id"]) async for row in rows]


def _is_own(row: Row, first_run_id: str) -> bool:
    """Whether this workflow created the order. Open orders of versions that did not note it belong to any workflow."""
    created_by = row["first_run_id"]
    return bool(created_by == first_run_id) if created_by else row["closed_at"] is None
