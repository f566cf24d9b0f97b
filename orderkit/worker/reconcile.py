"""Reconcile from outside: the schedule that runs it, and one pass on demand."""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
)
from temporalio.service import RPCError

from orderkit.core.calls import ReconcileInput, ReconcileResult
from orderkit.core.orders import OrderId, order_workflow_id
from orderkit.core.steps import ORDER_QUEUE
from orderkit.errors import MessageRefused, OrderNotFound
from orderkit.temporal.failing import failing_task
from orderkit.temporal.workflows import TemporalWorkflows
from orderkit.workflows.reconcile import WORKFLOW_ID, ReconcileWorkflow

EVERY = timedelta(minutes=1)


async def ensure_schedule(client: Client) -> None:
    """Create the schedule, or renew what it starts: a pass every minute, never two at once."""
    action = ScheduleActionStartWorkflow(
        ReconcileWorkflow.run, ReconcileInput(), id=WORKFLOW_ID, task_queue=ORDER_QUEUE
    )
    schedule = Schedule(
        action=action,
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=EVERY)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
    )
    try:
        await client.create_schedule(WORKFLOW_ID, schedule)
    except ScheduleAlreadyRunningError:
        # Its input may be encrypted with a key that is on its way out; pauses and the like stay as they are.
        await client.get_schedule_handle(WORKFLOW_ID).update(
            lambda found: ScheduleUpdate(replace(found.description.schedule, action=action))
        )


async def reconcile_now(client: Client, most: int = 100) -> ReconcileResult:
    """One pass, now; needs a worker on `order-tq`."""
    return await client.execute_workflow(
        ReconcileWorkflow.run,
        ReconcileInput(most),
        id=f"{WORKFLOW_ID}-{uuid.uuid4()}",
        task_queue=ORDER_QUEUE,
        execution_timeout=timedelta(minutes=5),
    )


async def settle_failing(client: Client, order_id: OrderId) -> ReconcileResult:
    """Terminate the workflow of an order that stands still since its task fails, and reconcile, now.

    Raises OrderNotFound, or MessageRefused for an order whose workflow does not fail: such an order can be cancelled.
    """
    failing = await failing_task(client, order_workflow_id(order_id))
    if failing is None:
        if await TemporalWorkflows(client).status(order_workflow_id(order_id)) == "missing":
            raise OrderNotFound(f"Temporal knows no order {order_id}")
        raise MessageRefused(
            f"the workflow of order {order_id} does not fail; cancel it: orderkit order cancel {order_id}"
        )
    for workflow_id in dict.fromkeys((failing.workflow_id, order_workflow_id(order_id))):
        with suppress(RPCError):  # it has ended meanwhile
            await client.get_workflow_handle(workflow_id).terminate(reason=f"settled by hand: {failing}")
    return await reconcile_now(client)
