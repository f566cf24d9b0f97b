"""What people do to an order in Temporal's UI and CLI: activities completed, failed, paused; resets; ended children.

One file, though long: its tests steer an order in the same few ways, and share them.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from typing import Any, cast

import pytest
from support.shop import Handle, Shop, delete_workflow, until
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import ResetReapplyType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from orderkit.core.faults import FaultPlan
from orderkit.core.messages import CancelOrder, ReviewDecision
from orderkit.core.orders import DEFAULT_ADDRESS, OrderId, OrderInput, Review, order_workflow_id, shipping_workflow_id
from orderkit.core.policies import BUDGET, SPEC, UNTIL_DONE, Policy
from orderkit.core.steps import ORDER_QUEUE, Step
from orderkit.stack.stack import Stack
from orderkit.stack.temporal import binary
from orderkit.store.world import SimulatedCarrier
from orderkit.worker.reconcile import reconcile_now
from orderkit.workflows.order import OrderWorkflow


async def temporal(servers: Stack, *arguments: str) -> dict[str, Any]:
    """Temporal's own command."""
    command = [str(binary()), *arguments, "--address", servers.temporal_address, "--output", "json"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout or "{}")
    return told


async def activity_of(client: Client, workflow_id: str, step: str) -> str:
    """The id of the activity that this workflow waits for."""
    description = await client.get_workflow_handle(workflow_id).describe()
    pending = description.raw_description.pending_activities
    return next(each.activity_id for each in pending if step in each.activity_type.name)


async def started(
    shop: Shop, order_id: OrderId, step: Step, faults: list[str], policy: Policy = SPEC, deadline_seconds: float = 30
) -> Handle:
    """An order that hangs in this step."""
    plan = FaultPlan(script={step.value: faults})
    handle = await shop.start(order_id, policy=policy, deadline_seconds=deadline_seconds, faults=plan)
    await shop.step_reached(order_id, step)
    return handle


async def nothing_runs(client: Client, order_id: OrderId) -> None:
    """Neither the order's workflow nor a shipping run of it is left in Temporal."""
    for workflow_id in (order_workflow_id(order_id), *(shipping_workflow_id(order_id, run) for run in (1, 2, 3))):

        async def over(workflow_id: str = workflow_id) -> bool:
            try:
                status = (await client.get_workflow_handle(workflow_id).describe()).status
            except RPCError:
                return True
            return status is not None and status.name != "RUNNING"

        await until(over, f"{workflow_id} has ended")


NONSENSE = ['"done by hand"', "5", "null", "[]", "{}", '{"tracking": 7}', '{"tracking": "TRK", "more": 1}']


@pytest.mark.parametrize("result", NONSENSE)
async def test_a_dispatch_completed_by_hand_is_done_for_real(
    shop: Shop, client: Client, servers: Stack, order_id: OrderId, result: str
) -> None:
    handle = await started(shop, order_id, Step.DISPATCH, ["hang", "ok"])
    shipping = shipping_workflow_id(order_id)
    activity_id = await activity_of(client, shipping, "dispatch")
    given = ("--workflow-id", shipping, "--activity-id", activity_id, "--result", result, "--identity", "ada")
    await temporal(servers, "activity", "complete", *given)
    assert await shop.end(handle) == "shipped"
    await nothing_runs(client, order_id)
    assert await shop.findings(order_id) == []


@pytest.mark.parametrize("step", [Step.RECEIVE, Step.VALIDATE, Step.CHARGE, Step.PREPARE, Step.SHIP])
async def test_a_step_completed_by_hand_is_done_for_real(
    shop: Shop, client: Client, servers: Stack, order_id: OrderId, step: Step
) -> None:
    handle = await started(shop, order_id, step, ["hang", "ok"], SPEC, deadline_seconds=300)
    workflow_id = shipping_workflow_id(order_id) if step is Step.PREPARE else order_workflow_id(order_id)
    activity_id = await activity_of(client, workflow_id, step)
    given = ("--workflow-id", workflow_id, "--activity-id", activity_id, "--result", "null", "--identity", "ada")
    await temporal(servers, "activity", "complete", *given)
    assert await shop.end(handle) == "shipped"
    await nothing_runs(client, order_id)
    assert await shop.state(order_id) == "shipped"
    assert await shop.findings(order_id) == []


@pytest.mark.parametrize("step", [Step.STOP, Step.RECALL, Step.REFUND, Step.CLOSE])
async def test_what_must_be_done_is_done_though_completed_by_hand(
    shop: Shop, client: Client, servers: Stack, order_id: OrderId, step: Step
) -> None:
    """The carrier has the package, and its answer was lost: were the recall left out, it would go out, unpaid."""
    hangs = 2 if step in (Step.STOP, Step.CLOSE) else 8  # their attempts are longer
    faults = FaultPlan(script={Step.DISPATCH.value: ["hang"] * 9, step.value: ["hang"] * hangs})
    handle = await shop.start(order_id, deadline_seconds=300, faults=faults)
    await shop.step_reached(order_id, Step.DISPATCH)
    await SimulatedCarrier(shop.pool).dispatch(order_id, order_id, DEFAULT_ADDRESS)
    await handle.signal("cancel_order", CancelOrder("no", "ada"))
    await shop.step_reached(order_id, step)
    activity_id = await activity_of(client, order_workflow_id(order_id), step)
    given = ("--workflow-id", order_workflow_id(order_id), "--activity-id", activity_id, "--result", '"done"')
    await temporal(servers, "activity", "complete", *given, "--identity", "ada")
    assert await shop.end(handle) == "cancelled"
    await nothing_runs(client, order_id)
    assert await shop.state(order_id) == "cancelled"
    assert [line["kind"] for line in await shop.reader.ledger(order_id)] == ["charge", "dispatch", "recall", "refund"]
    assert await shop.findings(order_id) == []


async def test_a_refund_failed_by_hand_is_done_all_the_same(
    shop: Shop, client: Client, servers: Stack, order_id: OrderId
) -> None:
    faults = FaultPlan(script={Step.PREPARE.value: ["hang"] * 9, Step.REFUND.value: ["hang"] * 19})
    handle = await shop.start(order_id, policy=BUDGET, deadline_seconds=60, faults=faults)
    await shop.step_reached(order_id, Step.PREPARE)
    await handle.signal("cancel_order", CancelOrder("no", "ada"))
    await shop.step_reached(order_id, Step.REFUND)
    activity_id = await activity_of(client, order_workflow_id(order_id), "refund")
    given = ("--workflow-id", order_workflow_id(order_id), "--activity-id", activity_id, "--reason", "by hand")
    await temporal(servers, "activity", "fail", *given, "--identity", "ada")
    assert await shop.end(handle) == "cancelled"
    money = [line["kind"] for line in await shop.reader.ledger(order_id) if line["who"] == "payment provider"]
    assert money == ["charge", "refund"]
    await nothing_runs(client, order_id)
    assert await shop.findings(order_id) == []


async def test_a_paused_activity_keeps_no_order_from_its_deadline(
    shop: Shop, client: Client, servers: Stack, order_id: OrderId
) -> None:
    handle = await started(shop, order_id, Step.CHARGE, ["error"] * 50, BUDGET, deadline_seconds=10)
    activity_id = await activity_of(client, order_workflow_id(order_id), "charge")
    given = ("--workflow-id", order_workflow_id(order_id), "--activity-id", activity_id, "--identity", "ada")
    await temporal(servers, "activity", "pause", *given)
    assert await shop.end(handle) == "failed"
    summary = await shop.reader.summary(order_id)
    assert summary is not None and summary["within_deadline"]
    assert await shop.findings(order_id) == []


async def test_reconcile_leaves_a_persons_pause_alone(
    shop: Shop, client: Client, servers: Stack, order_id: OrderId
) -> None:
    handle = await started(shop, order_id, Step.CHARGE, ["error"] * 50, BUDGET, deadline_seconds=60)
    workflow_id = order_workflow_id(order_id)
    given = ("--workflow-id", workflow_id, "--activity-id", await activity_of(client, workflow_id, "charge"))
    await temporal(servers, "activity", "pause", *given, "--identity", "ada")
    await reconcile_now(client)
    described = (await handle.describe()).raw_description
    assert [each.paused for each in described.pending_activities] == [True]
    await handle.signal("cancel_order", CancelOrder("changed my mind", "ada"))
    assert await shop.end(handle) == "cancelled"


async def test_a_pause_that_the_server_does_not_end_is_ended_by_reconcile(
    shop: Shop, client: Client, servers: Stack, order_id: OrderId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes while an attempt runs that then times out: the server never looks at the activity again."""
    monkeypatch.setitem(cast(dict[str, float], UNTIL_DONE.attempt_timeout_seconds), Step.SHIP, 1.5)
    before = UNTIL_DONE.activity_seconds
    object.__setattr__(UNTIL_DONE, "activity_seconds", 3.0)  # a minute, and frozen
    try:
        handle = await started(shop, order_id, Step.SHIP, ["hang"], deadline_seconds=60)
        workflow_id = order_workflow_id(order_id)
        given = ("--workflow-id", workflow_id, "--activity-id", await activity_of(client, workflow_id, "ship"))
        await temporal(servers, "activity", "pause", *given, "--identity", "ada")
        ends = time.monotonic() + 3.5

        async def over() -> bool:
            return time.monotonic() > ends

        await until(over, "the activity's time is over")

        async def goes_on() -> bool:
            await reconcile_now(client)  # once more where Temporal's lists lag
            return (await handle.describe()).status is not WorkflowExecutionStatus.RUNNING

        await until(goes_on, "the order goes on")
    finally:
        object.__setattr__(UNTIL_DONE, "activity_seconds", before)
    assert await shop.end(handle) == "shipped"
    assert await shop.findings(order_id) == []


async def test_a_reset_activity_begins_anew_and_its_attempts_are_counted_on(
    shop: Shop, client: Client, servers: Stack, order_id: OrderId
) -> None:
    handle = await started(shop, order_id, Step.CHARGE, ["error", "hang", "ok"], deadline_seconds=60)

    async def at_second() -> bool:
        return [a["attempt"] for a in await shop.reader.attempts(order_id) if a["step"] == "charge"] == [1, 2]

    await until(at_second, "the second attempt of the charge")
    activity_id = await activity_of(client, order_workflow_id(order_id), "charge")
    given = ("--workflow-id", order_workflow_id(order_id), "--activity-id", activity_id, "--identity", "ada")
    await temporal(servers, "activity", "reset", *given)
    assert await shop.end(handle) == "shipped"
    charges = [a["attempt"] for a in await shop.reader.attempts(order_id) if a["step"] == "charge"]
    assert charges == list(range(1, len(charges) + 1)) and len(charges) > 2
    assert await shop.findings(order_id) == []


async def test_a_terminated_child_ends_the_order_in_words_and_undoes_it(
    shop: Shop, client: Client, order_id: OrderId
) -> None:
    handle = await started(shop, order_id, Step.PREPARE, ["hang"] * 9)
    await client.get_workflow_handle(shipping_workflow_id(order_id)).terminate("by hand")
    assert await shop.end(handle) == "failed"
    row = await shop.reader.order(order_id)
    assert row is not None and "was terminated" in row["stop_reason"]
    assert await shop.findings(order_id) == []


# Reset


async def reset(client: Client, order_id: OrderId, to_event: int, with_messages: bool = True) -> Handle:
    """As `temporal workflow reset` does, which sends what came since then again; the handle of the new run."""
    workflow_id = order_workflow_id(order_id)
    answer = await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            reason="by hand",
            workflow_task_finish_event_id=to_event,
            request_id=f"reset-{order_id}",
            reset_reapply_type=(
                ResetReapplyType.RESET_REAPPLY_TYPE_ALL_ELIGIBLE
                if with_messages
                else ResetReapplyType.RESET_REAPPLY_TYPE_NONE
            ),
        )
    )
    return client.get_workflow_handle_for(OrderWorkflow.run, workflow_id, run_id=answer.run_id)


async def first_task(handle: Handle) -> int:
    """The id of the first workflow task's completion: a reset to it does everything again."""
    events = (await handle.fetch_history()).events
    return next(e.event_id for e in events if e.HasField("workflow_task_completed_event_attributes"))


async def test_a_reset_in_the_middle_of_shipping_ships_once(shop: Shop, client: Client, order_id: OrderId) -> None:
    handle = await started(shop, order_id, Step.PREPARE, ["hang", "ok"], deadline_seconds=60)
    again = await reset(client, order_id, await first_task(handle))
    assert await shop.end(again) == "shipped"
    await nothing_runs(client, order_id)
    assert [line["kind"] for line in await shop.reader.ledger(order_id)] == ["charge", "dispatch"]
    assert await shop.findings(order_id) == []


async def test_a_reset_of_a_shipped_order_dispatches_again_for_the_same_package(
    shop: Shop, client: Client, order_id: OrderId
) -> None:
    handle = await shop.start(order_id, policy=BUDGET, deadline_seconds=600)
    assert await shop.end(handle) == "shipped"
    tracking = (await handle.result()).tracking
    again = await reset(client, order_id, await first_task(handle))
    assert await shop.end(again) == "shipped"
    assert (await again.result()).tracking == tracking
    children = [
        e
        for e in (await again.fetch_history()).events
        if e.HasField("child_workflow_execution_started_event_attributes")
    ]
    assert len(children) == 1
    assert await shop.findings(order_id) == []


@pytest.mark.parametrize(("fault", "ended"), [("hang", "cancelled"), ("hang_after", "shipped")])
async def test_a_cancel_after_a_reset_knows_what_was_done_before_it(
    shop: Shop, client: Client, order_id: OrderId, fault: str, ended: str
) -> None:
    plan = FaultPlan(script={"dispatch": [fault] * 9})
    handle = await shop.start(order_id, review=Review.HUMAN, deadline_seconds=60, faults=plan)
    await shop.step_reached(order_id, Step.REVIEW)
    await handle.signal("approve_order", ReviewDecision("grace"))
    await shop.step_reached(order_id, Step.DISPATCH, 2)
    again = await reset(client, order_id, await first_task(handle), with_messages=False)
    await again.signal("cancel_order", CancelOrder("no", "ada"))  # by then it has charged nothing, as far as it knows
    assert await shop.end(again) == ended
    await nothing_runs(client, order_id)
    ledger = [line["kind"] for line in await shop.reader.ledger(order_id)]
    assert ledger.count("charge") == 1
    assert ledger.count("refund") == (ended == "cancelled")
    assert await shop.findings(order_id) == []


async def test_the_order_of_a_deleted_workflow_is_not_judged_by_another_of_its_name(
    shop: Shop, client: Client, order_id: OrderId
) -> None:
    assert await shop.end(await shop.start(order_id)) == "shipped"
    workflow_id = order_workflow_id(order_id)
    await delete_workflow(client, workflow_id)
    other = await client.start_workflow(OrderWorkflow.run, OrderInput(order_id), id=workflow_id, task_queue=ORDER_QUEUE)
    assert await shop.end(other) != "shipped"
    assert await shop.state(order_id) == "shipped"
    assert await shop.findings(order_id) == []


@pytest.mark.parametrize("ended", ["shipped", "cancelled", "failed"])
async def test_a_reset_of_an_ended_order_says_again_how_it_ended(
    shop: Shop, client: Client, order_id: OrderId, ended: str
) -> None:
    if ended == "shipped":
        handle = await shop.start(order_id)
    elif ended == "failed":
        handle = await shop.start(order_id, policy=BUDGET, faults=FaultPlan(script={"charge": ["decline"]}))
        ended = "rejected"
    else:
        handle = await started(shop, order_id, Step.PREPARE, ["hang"] * 9)
        await handle.signal("cancel_order", CancelOrder("no", "ada"))
    assert await shop.end(handle) == ended
    before = await shop.reader.order(order_id)
    again = await reset(client, order_id, await first_task(handle))
    assert await shop.end(again, timeout_seconds=60) == ended
    after = await shop.reader.order(order_id)
    assert before is not None and after is not None
    assert (after["state"], after["stop_reason"]) == (before["state"], before["stop_reason"])
    await nothing_runs(client, order_id)
    assert {f.kind for f in await shop.findings(order_id)} <= {"past_deadline"}
