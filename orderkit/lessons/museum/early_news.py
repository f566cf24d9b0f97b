"""Meant to do: the customer hears as early as possible that the order is on its way."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orderkit.core.messages import OrderResult
    from orderkit.core.orders import OrderInput, OrderState
    from orderkit.core.steps import Step
    from orderkit.lessons.museum.steps import hand_over, note_state, result, run_step


@workflow.defn
class EarlyNews:
    """One order, from receipt to its end."""

    @workflow.run
    async def run(self, order: OrderInput) -> OrderResult:
        """Returns how the order ended."""
        for step in (Step.RECEIVE, Step.VALIDATE, Step.CHARGE, Step.PREPARE):
            await run_step(step, order)
        # The carrier comes within the hour; nobody should wait for the news until then.
        await note_state(order, OrderState.DISPATCHED)
        await note_state(order, OrderState.SHIPPED)
        await hand_over(order, order.address)
        return result(order, OrderState.SHIPPED)
