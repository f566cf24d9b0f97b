"""ShippingWorkflow: prepare the package, hand it to the carrier. A child of OrderWorkflow, on its own task queue."""

from __future__ import annotations

from dataclasses import replace

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from orderkit.core.calls import DispatchResult, ShippingInput, StepInput
    from orderkit.core.messages import DispatchFailed
    from orderkit.core.steps import Step
    from orderkit.workflows.options import attempts_made, reason_of, run_step


@workflow.defn(name="ShippingWorkflow")
class ShippingWorkflow:
    """One shipping run of one order."""

    @workflow.run
    async def run(self, shipping: ShippingInput) -> DispatchResult:
        """Returns the tracking code. Fails as DispatchFailed, after telling the parent, when no carrier can be had."""
        prepare = StepInput(order_id=shipping.order_id, faults=shipping.faults)
        await run_step(Step.PREPARE, prepare, shipping.policy)
        prior_attempts = shipping.prior_attempts.get(Step.DISPATCH, 0)
        try:
            dispatch = replace(prepare, prior_attempts=prior_attempts)
            result: DispatchResult = await run_step(Step.DISPATCH, dispatch, shipping.policy, DispatchResult)
            return result
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            reason = reason_of(error)
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
