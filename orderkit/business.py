"""The business functions: what each step of an order does, over ports. Each starts with `flaky_call()`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from orderkit.core.calls import Attempt, DispatchResult, RefundResult, StopResult
from orderkit.core.events import EventType
from orderkit.core.faults import HANG_SECONDS, FaultKind, decide
from orderkit.core.messages import Stop, StopKind, UpdateAddress
from orderkit.core.orders import (
    OrderInput,
    OrderState,
    PaymentId,
    Review,
    check_address,
    check_items,
    check_order_id,
    check_payment_id,
)
from orderkit.core.ports import Carrier, Clock, OrderStore, PaymentProvider
from orderkit.errors import Declined, InjectedError, InvalidOrder, Problem


@asynccontextmanager
async def flaky_call(attempt: Attempt, clock: Clock) -> AsyncIterator[None]:
    """Do to this attempt what its order's fault plan says: before the body, or after its side effect."""
    fault = decide(attempt.faults, attempt.order_id, attempt.step, attempt.number)
    lost = f"{fault} injected into {attempt.step}, attempt {attempt.number}"
    match fault.kind:
        case FaultKind.ERROR:
            raise InjectedError(lost)
        case FaultKind.DECLINE:
            raise Declined(lost)
        case FaultKind.HANG:
            await clock.sleep(HANG_SECONDS)
            raise InjectedError(lost)
        case FaultKind.SLOW:
            await clock.sleep(fault.milliseconds / 1000)
        case FaultKind.CRASH:
            clock.crash()
        case _:
            pass
    yield
    match fault.kind:
        case FaultKind.ERROR_AFTER:
            raise InjectedError(lost)
        case FaultKind.HANG_AFTER:
            await clock.sleep(HANG_SECONDS)
            raise InjectedError(lost)
        case FaultKind.CRASH_AFTER:
            clock.crash()
        case _:
            pass


@dataclass(frozen=True)
class Business:
    """The business functions with what they need from outside."""

    orders: OrderStore
    payments: PaymentProvider
    carrier: Carrier
    clock: Clock

    async def order_received(
        self, attempt: Attempt, order: OrderInput, started_at: datetime, first_run_id: str = ""
    ) -> None:
        """Create the order's row."""
        async with flaky_call(attempt, self.clock):
            await self.orders.create(order, started_at, first_run_id)

    async def order_validated(self, attempt: Attempt, order: OrderInput) -> None:
        """Check the order, all checks at once; raises InvalidOrder naming every problem."""
        async with flaky_call(attempt, self.clock):
            found = await asyncio.gather(
                _check(check_order_id(order.order_id)),
                _check(check_payment_id(order.payment_id)),
                _check(check_items(order.items)),
                _check(check_address(order.address)),
            )
            problems = [problem for problems in found for problem in problems]
            if problems:
                raise InvalidOrder(problems)
            await self.orders.move(order.order_id, OrderState.VALIDATED, EventType.ORDER_VALIDATED, {})

    async def review_opened(self, attempt: Attempt, review: Review) -> None:
        """Ask for a review; the waiting is the workflow's."""
        async with flaky_call(attempt, self.clock):
            await self.orders.move(attempt.order_id, OrderState.IN_REVIEW, EventType.REVIEW_OPENED, {"review": review})

    async def payment_charged(
        self, attempt: Attempt, payment_id: PaymentId, amount_cents: int, approved_by: str, note: str
    ) -> None:
        """Charge the customer once, under the idempotency key `payment_id`."""
        # The approval is our own fact, noted before the call that may fail; it also refuses a stopped order.
        approval = {"approved_by": approved_by, "note": note}
        await self.orders.open_payment(attempt.order_id, payment_id, amount_cents, approval)
        try:
            async with flaky_call(attempt, self.clock):
                await self.payments.charge(payment_id, attempt.order_id, amount_cents)
                await self.orders.payment_charged(attempt.order_id, payment_id)
        except Declined as error:
            await self.orders.payment_declined(attempt.order_id, payment_id, str(error))
            raise

    async def package_prepared(self, attempt: Attempt) -> None:
        """Pack the package."""
        async with flaky_call(attempt, self.clock):
            await self.orders.move(attempt.order_id, OrderState.PREPARED, EventType.PACKAGE_PREPARED, {})

    async def carrier_dispatched(self, attempt: Attempt) -> DispatchResult:
        """Hand the package to the carrier, then pass the point of no return with the address on the label."""
        async with flaky_call(attempt, self.clock):
            while True:
                address, version = await self.orders.address(attempt.order_id)
                tracking = await self.carrier.dispatch(attempt.order_id, attempt.order_id, address)
                if await self.orders.dispatched(attempt.order_id, version, tracking):
                    return DispatchResult(tracking)

    async def order_shipped(self, attempt: Attempt) -> None:
        """Mark the order as shipped."""
        async with flaky_call(attempt, self.clock):
            await self.orders.move(attempt.order_id, OrderState.SHIPPED, EventType.ORDER_SHIPPED, {})

    async def address_changed(self, attempt: Attempt, change: UpdateAddress, superseded: int) -> OrderState | None:
        """Change the address while the package is still here; returns the state that forbids it, or None."""
        async with flaky_call(attempt, self.clock):
            return await self.orders.change_address(attempt.order_id, change, superseded)

    async def order_stopped(
        self, attempt: Attempt, order: OrderInput | None, stop: Stop, started_at: datetime, first_run_id: str = ""
    ) -> StopResult:
        """Let the database decide between this stop and the dispatch; an order without a row gets one first."""
        async with flaky_call(attempt, self.clock):
            if order is not None:
                await self.orders.create(order, started_at, first_run_id)
            return await self.orders.stop(attempt.order_id, stop)

    async def shipment_recalled(self, attempt: Attempt) -> None:
        """Compensation: get the package back, and have the carrier refuse it later."""
        async with flaky_call(attempt, self.clock):
            recalled = await self.carrier.recall(attempt.order_id, attempt.order_id)
            await self.orders.shipment_recalled(attempt.order_id, recalled)

    async def payment_refunded(self, attempt: Attempt, payment_id: PaymentId) -> RefundResult:
        """Compensation: void the key, which refunds what went through and refuses what comes later."""
        async with flaky_call(attempt, self.clock):
            refund = await self.payments.void(payment_id, attempt.order_id)
            await self.orders.payment_voided(attempt.order_id, payment_id, refund)
            return refund

    async def order_closed(self, attempt: Attempt, kind: StopKind, reason: str) -> None:
        """Give a stopped order its final state."""
        async with flaky_call(attempt, self.clock):
            await self.orders.close(attempt.order_id, kind, reason)


async def _check(problems: list[Problem]) -> list[Problem]:
    """One check as it would be if it asked another service: awaitable."""
    return problems
