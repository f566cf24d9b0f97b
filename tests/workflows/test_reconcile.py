"""Orders whose workflow was ended from outside are found by the audit and made right by reconcile."""

from __future__ import annotations

import pytest
from support.shop import Shop, until
from temporalio.client import ScheduleOverlapPolicy

from orderkit.audit.rules import FindingKind
from orderkit.core.faults import FaultPlan
from orderkit.core.orders import OrderId, OrderState
from orderkit.core.policies import BUDGET
from orderkit.core.steps import Step
from orderkit.worker.reconcile import ensure_schedule, reconcile_now
from orderkit.workflows.reconcile import WORKFLOW_ID


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
