"""A workflow with a bug, for tests of what is shown of it; a module of its own, since the sandbox loads it."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orderkit.core.calls import OrderStepInput
    from orderkit.core.orders import OrderInput
    from orderkit.core.steps import Step
    from orderkit.workflows.options import run_step


@workflow.defn(name="OrderWorkflow")
class BrokenOrder:
    """Receives its order, then raises KeyError in each workflow task."""

    @workflow.run
    async def run(self, order: OrderInput) -> None:
        started_at = workflow.info().start_time
        call = OrderStepInput(order_id=order.order_id, faults=order.faults, order=order, started_at=started_at)
        await run_step(Step.RECEIVE, call, order.policy)
        prices: dict[str, int] = {}
        prices["tea"]
