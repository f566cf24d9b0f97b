"""Lesson 01: workflow code run once more from its history, and workflow code that Temporal's sandbox refuses."""

from __future__ import annotations

import asyncio
import textwrap
import uuid
from dataclasses import dataclass

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Replayer, Worker

from orderkit.errors import WaitExpired
from orderkit.lab.lab import Lab
from orderkit.temporal.failing import failing_in
from orderkit.temporal.orders import TASK_TIMEOUT
from orderkit.workflows.order import OrderWorkflow

_COLUMNS = 90
_LOOK_SECONDS = 0.05
_FAILS_WITHIN_SECONDS = 20.0


@dataclass(frozen=True)
class Replayed:
    """What a replay needed."""

    order: str
    answers: int  # results of activities, from the history

    def __repr__(self) -> str:
        return (
            f"replayed {self.order}: the code of OrderWorkflow ran from its first line to its last\n"
            f"results of activities that it got from the history: {self.answers}\n"
            "activities that ran: 0"
        )


async def replay(lab: Lab, name: str) -> Replayed:
    """Run the code of an order's workflow once more, in this process, with nothing but its history.

    Raises what Temporal says where the code and the history do not agree.
    """
    order = await lab.orders.find(name)
    client = await lab.connect_temporal()
    history = await client.get_workflow_handle(order.workflow_id).fetch_history()
    # It knows no activity and no server, so that none can run.
    replayer = Replayer(workflows=[OrderWorkflow], data_converter=client.data_converter)
    await replayer.replay_workflow(history)
    completed = EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
    return Replayed(order.name, sum(event.event_type == completed for event in history.events))


async def first_failure(lab: Lab, workflow: type) -> str:
    """Run this workflow on a worker of this process; returns what its workflow task fails with. Raises WaitExpired."""
    client = await lab.connect_temporal()
    run = f"lesson-{uuid.uuid4().hex[:8]}"
    async with Worker(client, task_queue=run, workflows=[workflow]):
        handle = await client.start_workflow(
            workflow.__name__, "tea", id=run, task_queue=run, task_timeout=TASK_TIMEOUT
        )
        try:
            return await _failure(client, handle)
        finally:
            await handle.terminate(reason="the lesson has seen it fail")


async def _failure(client: Client, handle: WorkflowHandle[object, object]) -> str:
    try:
        async with asyncio.timeout(_FAILS_WITHIN_SECONDS):
            while True:
                if failing := await failing_in(client, (await handle.describe()).raw_description):
                    return "\n".join(textwrap.wrap(f"the workflow task fails: {failing}", _COLUMNS))
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        raise WaitExpired(
            f"no workflow task failed within {_FAILS_WITHIN_SECONDS:g} s", ["run the cell again"]
        ) from None
