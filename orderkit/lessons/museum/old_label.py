"""Meant to do: a person approves each order; until then, the customer may send the package elsewhere."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orderkit.core.messages import OrderResult, ReviewDecision, UpdateAddress
    from orderkit.core.orders import OrderInput, OrderState
    from orderkit.core.steps import Step
    from orderkit.lessons.museum.steps import change_address, hand_over, result, run_step


@workflow.defn
class OldLabel:
    """One order, from receipt to its end."""

    @workflow.init
    def __init__(self, order: OrderInput) -> None:
        self._order = order
        self._address = order.address
        self._approved = False

    @workflow.run
    async def run(self, order: OrderInput) -> OrderResult:
        """Returns how the order ended."""
        await run_step(Step.RECEIVE, order)
        await run_step(Step.VALIDATE, order)
        address = self._address
        await run_step(Step.REVIEW, order)
        await workflow.wait_condition(lambda: self._approved)
        await run_step(Step.CHARGE, order)
        await run_step(Step.PREPARE, order)
        await hand_over(order, address)
        await run_step(Step.SHIP, order)
        return result(order, OrderState.SHIPPED)

    @workflow.signal
    def approve_order(self, decision: ReviewDecision) -> None:
        """A person says yes."""
        self._approved = True

    @workflow.signal
    async def update_address(self, change: UpdateAddress) -> None:
        """The customer has moved."""
        self._address = change.new_address
        await change_address(self._order, change)
