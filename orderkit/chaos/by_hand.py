"""What a person may type in Temporal's UI or CLI at a bad moment, done to one order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio.api.common.v1 import Payloads, WorkflowExecution
from temporalio.api.enums.v1 import ResetReapplyType
from temporalio.api.workflowservice.v1 import (
    DeleteWorkflowExecutionRequest,
    PauseActivityRequest,
    ResetActivityRequest,
    ResetWorkflowExecutionRequest,
    RespondActivityTaskCompletedByIdRequest,
    RespondActivityTaskFailedByIdRequest,
    UnpauseActivityRequest,
)
from temporalio.client import Client
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from orderkit.chaos.plan import DEADLINE_SECONDS, Deed
from orderkit.core.orders import OrderId, OrderInput, order_workflow_id, shipping_workflow_id
from orderkit.core.steps import ORDER_QUEUE, SHIPPING_QUEUE

IDENTITY = "chaos by hand"
_LIMIT = timedelta(seconds=5)


async def do(client: Client, deed: Deed, order_id: OrderId) -> str:
    """Do it, and return the result as one word. The order may have ended already, or a server may be away."""
    deeds: dict[Deed, Callable[[Client, OrderId], Awaitable[None]]] = {
        Deed.MESSAGES: _messages,
        Deed.START: _start,
        Deed.RESET: _reset,
        Deed.TERMINATE: lambda client, order_id: _terminate(client, order_workflow_id(order_id)),
        Deed.KILL_CHILD: lambda client, order_id: _terminate(client, shipping_workflow_id(order_id)),
        Deed.DELETE: _delete,
        Deed.COMPLETE: _complete,
        Deed.FAIL: _fail,
        Deed.PAUSE: _pause,
        Deed.UNPAUSE: _unpause,
        Deed.RESET_ACTIVITY: _reset_activity,
    }
    try:
        await deeds[deed](client, order_id)
    except RPCError as error:
        return error.status.name.lower().replace("_", " ")
    except (WorkflowAlreadyStartedError, LookupError) as error:
        return type(error).__name__
    return "done"


async def _messages(client: Client, order_id: OrderId) -> None:
    handle = client.get_workflow_handle(order_workflow_id(order_id))
    for name, inputs in (
        ("approve_order", []),
        ("cancel_order", [None]),
        ("update_address", [{}]),
        ("reject_order", ["ada"]),
        ("dispatch_failed", [1, 2]),
        ("cancel_ordre", [{"reason": "typo"}]),
    ):
        await handle.signal(name, args=inputs, rpc_timeout=_LIMIT)


async def _start(client: Client, order_id: OrderId) -> None:
    """Start more workflows: with the same id, with another one, without input, and a shipping without an order."""
    order = OrderInput(order_id, deadline_seconds=DEADLINE_SECONDS)
    for workflow, inputs, workflow_id, queue in (
        ("OrderWorkflow", [order], f"by-hand-{order_id}", ORDER_QUEUE),
        ("OrderWorkflow", [], f"empty-{order_id}", ORDER_QUEUE),
        ("ShippingWorkflow", [{}], f"shipping-by-hand-{order_id}", SHIPPING_QUEUE),
        ("OrderWorkflow", [order], order_workflow_id(order_id), ORDER_QUEUE),
    ):
        await client.start_workflow(workflow, args=inputs, id=workflow_id, task_queue=queue, rpc_timeout=_LIMIT)


async def _terminate(client: Client, workflow_id: str) -> None:
    await client.get_workflow_handle(workflow_id).terminate("chaos", rpc_timeout=_LIMIT)


async def _delete(client: Client, order_id: OrderId) -> None:
    await client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(namespace=client.namespace, workflow_execution=_execution(order_id)),
        timeout=_LIMIT,
    )


async def _reset(client: Client, order_id: OrderId) -> None:
    """Reset it to its first workflow task: everything is done again."""
    workflow_id = order_workflow_id(order_id)
    events = (await client.get_workflow_handle(workflow_id).fetch_history(rpc_timeout=_LIMIT)).events
    tasks = [e.event_id for e in events if e.HasField("workflow_task_completed_event_attributes")]
    if not tasks:
        raise LookupError(f"order {order_id} has not begun")
    request = ResetWorkflowExecutionRequest(
        namespace=client.namespace,
        workflow_execution=_execution(order_id),
        reason="chaos",
        workflow_task_finish_event_id=tasks[0],
        request_id=f"chaos-{order_id}",
        reset_reapply_type=ResetReapplyType.RESET_REAPPLY_TYPE_ALL_ELIGIBLE,
    )
    await client.workflow_service.reset_workflow_execution(request, timeout=_LIMIT)


async def _complete(client: Client, order_id: OrderId) -> None:
    workflow_id, activity_id = await _pending(client, order_id)
    result = Payloads(payloads=await client.data_converter.encode(["done by hand"]))
    await client.workflow_service.respond_activity_task_completed_by_id(
        RespondActivityTaskCompletedByIdRequest(
            namespace=client.namespace,
            workflow_id=workflow_id,
            activity_id=activity_id,
            result=result,
            identity=IDENTITY,
        ),
        timeout=_LIMIT,
    )


async def _fail(client: Client, order_id: OrderId) -> None:
    workflow_id, activity_id = await _pending(client, order_id)
    request = RespondActivityTaskFailedByIdRequest(
        namespace=client.namespace, workflow_id=workflow_id, activity_id=activity_id, identity=IDENTITY
    )
    request.failure.message = "failed by hand"
    request.failure.application_failure_info.non_retryable = True
    await client.workflow_service.respond_activity_task_failed_by_id(request, timeout=_LIMIT)


async def _pause(client: Client, order_id: OrderId) -> None:
    workflow_id, activity_id = await _pending(client, order_id)
    request = PauseActivityRequest(namespace=client.namespace, identity=IDENTITY, id=activity_id, reason="chaos")
    request.execution.workflow_id = workflow_id
    await client.workflow_service.pause_activity(request, timeout=_LIMIT)


async def _unpause(client: Client, order_id: OrderId) -> None:
    workflow_id, activity_id = await _pending(client, order_id)
    request = UnpauseActivityRequest(namespace=client.namespace, identity=IDENTITY, id=activity_id)
    request.execution.workflow_id = workflow_id
    await client.workflow_service.unpause_activity(request, timeout=_LIMIT)


async def _reset_activity(client: Client, order_id: OrderId) -> None:
    workflow_id, activity_id = await _pending(client, order_id)
    request = ResetActivityRequest(namespace=client.namespace, identity=IDENTITY, id=activity_id)
    request.execution.workflow_id = workflow_id
    await client.workflow_service.reset_activity(request, timeout=_LIMIT)


async def _pending(client: Client, order_id: OrderId) -> tuple[str, str]:
    """An activity that the order or its shipping waits for, with its workflow; raises LookupError without one."""
    for workflow_id in (shipping_workflow_id(order_id), order_workflow_id(order_id)):
        try:
            described = await client.get_workflow_handle(workflow_id).describe(rpc_timeout=_LIMIT)
        except RPCError:
            continue
        for activity in described.raw_description.pending_activities:
            return workflow_id, activity.activity_id
    raise LookupError(f"order {order_id} waits for no activity")


def _execution(order_id: OrderId) -> WorkflowExecution:
    return WorkflowExecution(workflow_id=order_workflow_id(order_id))
