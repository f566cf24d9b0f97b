"""Workflow tasks that fail again and again: a bug, a missing key, a deployment that does not replay.

Such a workflow stands still and hears nothing. Temporal shows it nowhere but in the workflow itself; who wants to say
so asks here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus, WorkflowTaskFailedCause
from temporalio.api.failure.v1 import Failure
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryReverseRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from orderkit.core.orders import OrderId, order_id_of
from orderkit.errors import SettingsError
from orderkit.temporal.codec import reveal

_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<name>\S+)(\n\s+(?P<code>[^\n]+))?')
_LIBRARIES = ("site-packages", "/lib/python", "importlib")
_AT_ONCE = 8
_LOOK_BACK_EVENTS = 20  # the failure is among the last events: others may have arrived since
# Not the code's failures: the server gives the task up and makes a new one at once, since a message came in between,
# somebody has reset or paused the run, or the cluster's active half has changed.
_SERVERS_OWN = frozenset(
    {
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_UPDATE,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_STICKY_TASK_QUEUE,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FAILOVER_CLOSE_COMMAND,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_PAUSE_REQUESTED_BEFORE_TASK_STARTED,
    }
)


@dataclass(frozen=True)
class FailingTask:
    """A running workflow whose task fails; `event_id` is the failure's id in its history."""

    workflow_id: str
    run_id: str
    event_id: int
    error: str  # `TypeError: …, because of KeyError: …`
    where: str  # `order.py, line 83, in run: x = y.z`; empty where the failure does not say

    def __str__(self) -> str:
        return f"{self.error}{f' (at {self.where})' if self.where else ''}"


async def running_orders(client: Client, most: int = 5_000) -> dict[OrderId, str]:
    """The orders whose workflow runs, with its id; as far as Temporal's lists have come."""
    listed = client.list_workflows("ExecutionStatus = 'Running'", page_size=1_000, limit=most)
    return {OrderId(order_id): each.id async for each in listed if (order_id := order_id_of(each.id))}


async def failing_among(client: Client, orders: Mapping[OrderId, str]) -> dict[OrderId, FailingTask]:
    """Those of these orders whose workflow or shipping fails."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def look(order_id: OrderId, workflow_id: str) -> tuple[OrderId, FailingTask | None]:
        async with gate:
            return order_id, await failing_task(client, workflow_id)

    found = await asyncio.gather(*(look(*each) for each in orders.items()))
    return {order_id: task for order_id, task in found if task}


async def failing_task(client: Client, workflow_id: str, run_id: str | None = None) -> FailingTask | None:
    """The failing task of a workflow or of its children; None if it goes on, has ended, or does not exist."""
    try:
        found = (await client.get_workflow_handle(workflow_id, run_id=run_id).describe()).raw_description
        return await failing_in(client, found)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise


async def failing_in(client: Client, found: DescribeWorkflowExecutionResponse) -> FailingTask | None:
    """The same, from a workflow's description."""
    execution = found.workflow_execution_info.execution
    if found.workflow_execution_info.status != WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING:
        return None
    # A failed task is retried, and after a message its attempts count from 1 again; the history tells the rest.
    if found.HasField("pending_workflow_task"):
        request = GetWorkflowExecutionHistoryReverseRequest(
            namespace=client.namespace,
            execution=WorkflowExecution(workflow_id=execution.workflow_id, run_id=execution.run_id),
            maximum_page_size=_LOOK_BACK_EVENTS,
        )
        events = (await client.workflow_service.get_workflow_execution_history_reverse(request)).history.events
        if failure := last_failure(events[::-1]):
            await _revealed(failure[1], client)
            error, where = told(failure[1])
            return FailingTask(execution.workflow_id, execution.run_id, failure[0], error, where)
    for child in found.pending_children:
        if failing := await failing_task(client, child.workflow_id, child.run_id):
            return failing
    return None


def last_failure(events: Sequence[Any]) -> tuple[int, Failure] | None:
    """The failure of the last workflow task with its event's id, unless one has completed since; oldest event first."""
    for event in reversed(events):
        if event.HasField("workflow_task_completed_event_attributes"):
            return None
        failed = event.workflow_task_failed_event_attributes
        if event.HasField("workflow_task_failed_event_attributes") and failed.cause not in _SERVERS_OWN:
            return event.event_id, failed.failure
    return None


async def _revealed(failure: Failure, client: Client) -> None:
    with suppress(SettingsError):  # without the codec's key the message stays hidden
        await reveal(failure, client.data_converter)


def told(failure: Failure) -> tuple[str, str]:
    """The error, `TypeError: …, because of KeyError: …`, and where it was raised."""
    chain = [failure]
    while chain[-1].HasField("cause"):
        chain.append(chain[-1].cause)
    message = ", because of ".join(map(_message, [chain[0], chain[-1]] if len(chain) > 1 else chain))
    traces = "\n".join(each.stack_trace for each in reversed(chain))
    frames = [match for match in _FRAME.finditer(traces) if not _is_library(match["file"])]
    if not frames:
        return message, ""
    last = frames[-1]
    code = f": {last['code']}" if last["code"] else ""
    return message, f"{Path(last['file']).name}, line {last['line']}, in {last['name']}{code}"


def _message(failure: Failure) -> str:
    kind = failure.application_failure_info.type
    return f"{kind}: {failure.message}" if kind else failure.message


def _is_library(file: str) -> bool:
    # orderkit itself may be installed among the libraries; its own lines are what is looked for.
    return any(part in file for part in _LIBRARIES) and "/orderkit/" not in file
