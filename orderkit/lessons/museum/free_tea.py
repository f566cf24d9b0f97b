"""Meant to do: a payment provider that is down for a moment must not stop the shop."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orderkit.core.messages import OrderResult
    from orderkit.core.orders import OrderInput, OrderState
    from orderkit.core.steps import Step
    from orderkit.lessons.museum.steps import note_state, result, run_step


@workflow.defn
class FreeTea:
    """One order, from receipt to its end."""

    @workflow.run
    async def run(self, order: OrderInput) -> OrderResult:
        """Returns how the order ended."""
        await run_step(Step.RECEIVE, order)
        await run_step(Step.VALIDATE, order)
        try:
            await run_step(Step.CHARGE, order)
        except Exception:
            # Happens when the provider restarts; it sorts itself out.
            workflow.logger.warning("charge failed", extra={"order_id": order.order_id})
        await note_state(order, OrderState.CHARGED)
        await run_step(Step.PREPARE, order)
        await run_step(Step.DISPATCH, order)
        await run_step(Step.SHIP, order)
        return result(order, OrderState.SHIPPED)
