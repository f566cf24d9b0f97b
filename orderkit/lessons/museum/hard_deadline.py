"""Meant to do: an order is decided within its deadline; one that fails is undone, and the money goes back."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from orderkit.core.messages import OrderResult, Stop, StopKind
    from orderkit.core.orders import OrderInput, OrderState
    from orderkit.core.steps import Step
    from orderkit.lessons.museum.steps import (
        close_order,
        failure,
        recall_package,
        refund_payment,
        result,
        run_step,
        stop_order,
    )


def execution_timeout(order: OrderInput) -> timedelta:
    """The client gives this to `start_workflow`."""
    return timedelta(seconds=order.deadline_seconds)


@workflow.defn
class HardDeadline:
    """One order, from receipt to its end."""

    @workflow.run
    async def run(self, order: OrderInput) -> OrderResult:
        """Returns how the order ended."""
        try:
            for step in (Step.RECEIVE, Step.VALIDATE, Step.CHARGE, Step.PREPARE, Step.DISPATCH):
                await run_step(step, order)
        except (ActivityError, asyncio.CancelledError):
            stop = Stop(StopKind.FAILED, "a step failed, or the time was up", "workflow")
            if await stop_order(order, stop):
                await recall_package(order)
                await refund_payment(order)
                await close_order(order, stop)
                raise failure(order, stop.reason) from None
        await run_step(Step.SHIP, order)
        return result(order, OrderState.SHIPPED)
