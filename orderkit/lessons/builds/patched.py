"""The same changes; orders that came past the new step before there was one go on without it."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orderkit.core.messages import OrderResult, ReviewDecision, UpdateAddress
    from orderkit.core.orders import OrderInput, OrderState
    from orderkit.core.steps import Step
    from orderkit.lessons.museum.steps import change_address, result, run_step


@workflow.defn
class DeafOrder:
    """One order, from receipt to its end."""

    @workflow.init
    def __init__(self, order: OrderInput) -> None:
        self._order = order
        self._city = order.address.city
        self._approved = False

    @workflow.run
    async def run(self, order: OrderInput) -> OrderResult:
        """Returns how the order ended."""
        for step in (Step.RECEIVE, Step.VALIDATE, Step.REVIEW):
            await run_step(step, order)
        await workflow.wait_condition(lambda: self._approved and workflow.all_handlers_finished())
        if workflow.patched("validate-after-approval"):
            await run_step(Step.VALIDATE, order)
        for step in (Step.CHARGE, Step.PREPARE, Step.DISPATCH, Step.SHIP):
            await run_step(step, order)
        return result(order, OrderState.SHIPPED, f"shipped to {self._city}")

    @workflow.signal
    def approve_order(self, decision: ReviewDecision) -> None:
        """A person says yes."""
        self._approved = True

    @workflow.signal
    async def update_address(self, change: UpdateAddress) -> None:
        """The customer has moved."""
        self._city = change.new_address.city
        await change_address(self._order, change)
