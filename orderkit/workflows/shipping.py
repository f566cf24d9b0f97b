"""ShippingWorkflow: prepare the package, hand it to the carrier. A child of OrderWorkflow, on its own task queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from orderkit.core.calls import DispatchResult, ShippingInput, StepInput
    from orderkit.core.faults import FaultPlan
    from orderkit.core.messages import DispatchFailed
    from orderkit.core.orders import OrderId, order_workflow_id
    from orderkit.core.policies import SPEC
    from orderkit.core.steps import Step
    from orderkit.temporal.inputs import invalid_input
    from orderkit.workflows.options import attempts_made, reason_of, run_step
    from orderkit.workflows.refusals import Refusals


@workflow.defn(name="ShippingWorkflow")
class ShippingWorkflow:
    """One shipping run of one order."""

    @workflow.init
    def __init__(self, shipping: ShippingInput | None = None) -> None:
        self._shipping = shipping or ShippingInput(OrderId(""), FaultPlan(), SPEC)  # `run` refuses it
        self._refusals = Refusals(self._shipping.order_id)

    @workflow.run
    async def run(self, shipping: ShippingInput | None = None) -> DispatchResult:
        """Returns the tracking code. Fails as DispatchFailed, after telling the parent, when no carrier can be had.

        Fails as InvalidInput, at once, when it is not the child of its order.
        """
        if shipping is None:
            raise invalid_input("ShippingWorkflow was started without its input, a ShippingInput; order_id is missing")
        self._check_start()
        try:
            return await self._ship(self._shipping)
        finally:
            await self._refusals.settle()

    @workflow.signal(dynamic=True)
    async def receive_signal(self, name: str, inputs: Sequence[RawValue]) -> None:
        """Refuse every message: who wants to steer an order talks to its OrderWorkflow."""
        own = order_workflow_id(self._shipping.order_id)
        self._refusals.add(name, f"shipping takes no messages; send it to {own}")

    def _check_start(self) -> None:
        """Refuse what no OrderWorkflow has started; a person may have, in Temporal's UI."""
        own, parent = order_workflow_id(self._shipping.order_id), workflow.info().parent
        if parent is None or parent.workflow_id != own:
            raise invalid_input(
                f"it is no child of {own}, which starts the shipping of its order itself; this does nothing"
            )

    async def _ship(self, shipping: ShippingInput) -> DispatchResult:
        prepare = StepInput(order_id=shipping.order_id, faults=shipping.faults)
        await run_step(Step.PREPARE, prepare, shipping.policy)
        prior_attempts = shipping.prior_attempts.get(Step.DISPATCH, 0)
        try:
            dispatch = replace(prepare, prior_attempts=prior_attempts)
            result: DispatchResult = await run_step(Step.DISPATCH, dispatch, shipping.policy)
            return result
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            reason = reason_of(error, shipping.policy)
            await self._tell_parent(DispatchFailed(reason=reason, run=shipping.run))
            made = attempts_made(error, shipping.policy, prior_attempts)
            raise ApplicationError(
                f"dispatch failed: {reason}", {Step.DISPATCH.value: made}, type="DispatchFailed", non_retryable=True
            ) from error

    async def _tell_parent(self, failure: DispatchFailed) -> None:
        parent = workflow.info().parent
        if parent is None:
            return
        handle = workflow.get_external_workflow_handle(parent.workflow_id, run_id=parent.run_id)
        try:
            await handle.signal("dispatch_failed", failure)
        except ApplicationError:
            workflow.logger.warning("the parent is gone, dispatch_failed was not delivered")
