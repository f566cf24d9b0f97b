"""Meant to do: charge the customer once, and try again when the payment provider does not answer."""

from __future__ import annotations

import uuid

from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    from orderkit.core.calls import ChargeInput
    from orderkit.core.messages import OrderResult
    from orderkit.core.orders import OrderInput, OrderState, PaymentId
    from orderkit.core.steps import Step
    from orderkit.lessons.museum.steps import result, run_step
    from orderkit.worker.activities import OrderActivities, current_attempt


class Clerk(OrderActivities):
    """The shop's activities; all but this one are ours."""

    @activity.defn(name="charge_payment_activity")
    async def charge_payment(self, call: ChargeInput) -> None:
        """Charge the customer. The provider wants a payment id that nobody has used."""
        payment_id = PaymentId(f"pay-{uuid.uuid4()}")
        await self._business.payment_charged(
            current_attempt(call), payment_id, call.amount_cents, call.approved_by, call.note
        )


@workflow.defn
class HastyClerk:
    """One order, from receipt to its end."""

    @workflow.run
    async def run(self, order: OrderInput) -> OrderResult:
        """Returns how the order ended."""
        for step in (Step.RECEIVE, Step.VALIDATE, Step.CHARGE, Step.PREPARE, Step.DISPATCH, Step.SHIP):
            await run_step(step, order)
        return result(order, OrderState.SHIPPED)
