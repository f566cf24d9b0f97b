"""Orders whose workflow was ended from outside are found by the audit and made right by reconcile."""

from __future__ import annotations

import asyncio

import pytest
from support.shop import Shop, until
from temporalio.client import ScheduleOverlapPolicy, WorkflowFailureError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from orderkit.audit.rules import FindingKind
from orderkit.core.calls import ReconcileInput
from orderkit.core.faults import FaultPlan
from orderkit.core.messages import CancelOrder
from orderkit.core.orders import OrderId, OrderState, Review
from orderkit.core.policies import BUDGET
from orderkit.core.steps import Step
from orderkit.store.orders import PostgresOrders
from orderkit.temporal.workflows import TemporalWorkflows
from orderkit.worker.activities import ReconcileActivities
from orderkit.worker.reconcile import ensure_schedule, reconcile_now
from orderkit.workflows.reconcile import WORKFLOW_ID, ReconcileWorkflow


@pytest.mark.parametrize(
    ("step", "fault", "end"),
    [
        (Step.CHARGE, "hang_after", OrderState.FAILED),
        (Step.DISPATCH, "hang", OrderState.FAILED),
        (Step.SHIP, "hang", OrderState.SHIPPED),
    ],
)
async def test_a_terminated_order_is_made_right(
    shop: Shop, order_id: OrderId, step: Step, fault: str, end: OrderState
) -> None:
    handle = await shop.start(order_id, policy=BUDGET, faults=FaultPlan(script={step: [fault] * 100}))
    await shop.step_reached(order_id, step)
    if step is Step.CHARGE:

        async def charged() -> bool:
            return bool(await shop.reader.ledger(order_id))

        await until(charged, "the provider has charged")
    await handle.terminate(reason="an operator's mistake")
    kinds = {finding.kind for finding in await shop.findings(order_id)}
    assert FindingKind.STRANDED in kinds
    if end is OrderState.FAILED:
        assert FindingKind.CHARGED_NOT_SHIPPED in kinds
    result = await reconcile_now(shop.client)
    assert result.settled[order_id] == end
    assert await shop.state(order_id) is end
    assert await shop.findings(order_id) == []
    assert order_id not in (await reconcile_now(shop.client)).settled


async def test_an_order_that_ends_while_reconcile_looks_is_left_alone(shop: Shop, order_id: OrderId) -> None:
    handle = await shop.start(order_id, review=Review.HUMAN)
    await shop.step_reached(order_id, Step.REVIEW)

    class EndsMeanwhile(TemporalWorkflows):
        async def status(self, workflow_id: str, run_id: str | None = None) -> str:
            if workflow_id == handle.id:
                await handle.signal("cancel_order", CancelOrder("no", "ada"))
                assert await shop.end(handle) == "cancelled"
            return await super().status(workflow_id, run_id)

    reconcile = ReconcileActivities(PostgresOrders(shop.pool), EndsMeanwhile(shop.client))
    found = await ActivityEnvironment().run(reconcile.find_stranded, ReconcileInput(most=1_000))
    assert await shop.state(order_id) is OrderState.CANCELLED
    assert order_id not in {each.order_id for each in found}


async def test_the_schedule_is_there_once_and_works(shop: Shop, order_id: OrderId) -> None:
    await ensure_schedule(shop.client)
    await ensure_schedule(shop.client)
    schedule = shop.client.get_schedule_handle(WORKFLOW_ID)
    assert (await schedule.describe()).schedule.policy.overlap is ScheduleOverlapPolicy.SKIP
    plan = FaultPlan(script={Step.CHARGE: ["hang_after"] * 100})
    handle = await shop.start(order_id, policy=BUDGET, faults=plan)
    await shop.step_reached(order_id, Step.CHARGE)
    await handle.terminate()
    await schedule.trigger(overlap=ScheduleOverlapPolicy.ALLOW_ALL)

    async def settled() -> bool:
        return await shop.state(order_id) is OrderState.FAILED

    await until(settled, "the schedule settles the order")
    await schedule.delete()


@pytest.mark.parametrize("result", ["done by hand", None, [], [{"order_id": 7}], ["A-1"], {"order_id": "A-1"}])
async def test_a_pass_whose_search_was_completed_by_hand_ends(shop: Shop, order_id: OrderId, result: object) -> None:
    """Else the schedule, which never runs two passes at once, would wait for it for ever."""
    client, queue = shop.client, f"reconcile-{order_id}"
    async with Worker(client, task_queue=queue, workflows=[ReconcileWorkflow]):  # nobody serves the search
        handle = await client.start_workflow(ReconcileWorkflow.run, id=queue, task_queue=queue)

        async def searching() -> bool:
            return bool((await handle.describe()).raw_description.pending_activities)

        await until(searching, "the search is scheduled")
        [pending] = (await handle.describe()).raw_description.pending_activities
        by_hand = client.get_async_activity_handle(
            workflow_id=queue, run_id=handle.result_run_id, activity_id=pending.activity_id
        )
        await by_hand.complete(result)
        async with asyncio.timeout(20):
            if result == []:
                assert (await handle.result()).settled == {}
                return
            with pytest.raises(WorkflowFailureError) as failed:
                await handle.result()
        assert "completed by hand" in str(failed.value.cause)
