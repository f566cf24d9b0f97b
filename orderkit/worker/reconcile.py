"""Reconcile from outside: the schedule that runs it, and one pass on demand."""

from __future__ import annotations

import uuid
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

from orderkit.core.calls import ReconcileInput, ReconcileResult
from orderkit.core.steps import ORDER_QUEUE
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
