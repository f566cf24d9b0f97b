"""ReconcileWorkflow: finds orders whose workflow was terminated or vanished, and makes them right."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy, VersioningBehavior
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from orderkit.core.calls import (
        CloseInput,
        ReconcileInput,
        ReconcileResult,
        RefundInput,
        StepInput,
        StopInput,
        StopResult,
        StrandedOrder,
    )
    from orderkit.core.faults import FaultPlan
    from orderkit.core.messages import Stop, StopKind
    from orderkit.core.orders import OrderState
    from orderkit.core.steps import FIND_STRANDED, Step
    from orderkit.temporal.inputs import INVALID_INPUT
    from orderkit.workflows.options import run_step

WORKFLOW_ID = "orderkit-reconcile"


@workflow.defn(name="ReconcileWorkflow")
class ReconcileWorkflow:
    """One pass over the open orders; the same activities as the order's own compensation."""

    @workflow.run
    async def run(self, call: ReconcileInput | None = None) -> ReconcileResult:
        """Returns the settled orders with their new states. Without an input, as it may be started by hand, of all."""
        call = call or ReconcileInput()
        found: RawValue = await workflow.execute_activity(
            FIND_STRANDED,
            call,
            result_type=RawValue,
            start_to_close_timeout=timedelta(seconds=60),
            retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=5)),
        )
        return ReconcileResult({order.order_id: await self._settle(order) for order in _stranded(found)})

    async def _settle(self, order: StrandedOrder) -> str:
        """Shipped when the carrier has the package, else undone and failed."""
        nothing = FaultPlan()
        reason = f"its workflow is {order.workflow_status}"
        stop = Stop(StopKind.FAILED, reason, "reconcile")
        stop_input = StopInput(
            order_id=order.order_id, faults=nothing, order=None, started_at=workflow.now(), stop=stop
        )
        result: StopResult = await run_step(Step.STOP, stop_input)
        if not result.stopped:
            await run_step(Step.SHIP, StepInput(order_id=order.order_id, faults=nothing))
            return OrderState.SHIPPED
        await run_step(Step.RECALL, StepInput(order_id=order.order_id, faults=nothing))
        await run_step(Step.REFUND, RefundInput(order_id=order.order_id, faults=nothing, payment_id=order.payment_id))
        await run_step(
            Step.CLOSE, CloseInput(order_id=order.order_id, faults=nothing, kind=StopKind.FAILED, reason=reason)
        )
        return OrderState.FAILED


@workflow.defn(name="ReconcileWorkflow", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class MovingReconcileWorkflow(ReconcileWorkflow):
    """The same for workers with a build id; the server refuses a versioning behavior from those without one.

    A pass may wait for hours, while the database is away. It moves to each new build, so that no old one has to be
    kept for its sake; pinned to a build without workers it would hold up every later pass.
    """

    @workflow.run
    async def run(self, call: ReconcileInput | None = None) -> ReconcileResult:
        """The same."""
        return await super().run(call)


def _stranded(found: RawValue) -> list[StrandedOrder]:
    """What the activity found; fails the pass when a person completed it with something else. The next looks again."""
    try:
        stranded: list[StrandedOrder] = workflow.payload_converter().from_payload(found.payload, list[StrandedOrder])
        if not all(isinstance(order, StrandedOrder) for order in stranded):
            raise TypeError("not a list of orders")
    except Exception as error:
        raise ApplicationError(
            f"{FIND_STRANDED} was completed by hand, with a result that is none; start the pass again",
            type=INVALID_INPUT,
            non_retryable=True,
        ) from error
    return stranded
