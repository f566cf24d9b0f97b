"""Meant to do: a customer may cancel until the package is with the carrier; a cancelled order ends at once."""

from __future__ import annotations

import asyncio

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orderkit.core.messages import CancelOrder, OrderResult, Stop, StopKind
    from orderkit.core.orders import OrderInput, OrderState
    from orderkit.core.steps import Step
    from orderkit.lessons.museum.steps import close_order, result, run_step, stop_order


@workflow.defn
class PoliteCancel:
    """One order, from receipt to its end."""

    def __init__(self) -> None:
        self._cancel: CancelOrder | None = None

    @workflow.run
    async def run(self, order: OrderInput) -> OrderResult:
        """Returns how the order ended."""
        work = asyncio.create_task(self._fulfil(order))
        await workflow.wait_condition(lambda: work.done() or self._cancel is not None)
        if self._cancel is not None:
            stop = Stop(StopKind.CANCELLED, self._cancel.reason, self._cancel.cancelled_by)
            if await stop_order(order, stop):
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
                await close_order(order, stop)
                return result(order, OrderState.CANCELLED, stop.reason)
        await work
        return result(order, OrderState.SHIPPED)

    async def _fulfil(self, order: OrderInput) -> None:
        for step in (Step.RECEIVE, Step.VALIDATE, Step.CHARGE, Step.PREPARE, Step.DISPATCH, Step.SHIP):
            await run_step(step, order)

    @workflow.signal
    def cancel_order(self, message: CancelOrder) -> None:
        """The customer has changed their mind."""
        self._cancel = message
