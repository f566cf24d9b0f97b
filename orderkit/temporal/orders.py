"""Orders in Temporal: start, describe, signal, update, read; every failure is one of orderkit's own errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import (
    Client,
    RPCError,
    WorkflowExecutionStatus,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCStatusCode

from orderkit.core.messages import Answer, CancelOrder, ReviewDecision, ReviewOrder, UpdateAddress
from orderkit.core.orders import OrderId, OrderInput, order_workflow_id, request_digest
from orderkit.core.steps import ORDER_QUEUE
from orderkit.errors import DependencyUnavailable, MessageRefused, OrderNotFound, SettingsError
from orderkit.temporal.codec import reveal
from orderkit.temporal.failing import FailingTask, failing_task
from orderkit.temporal.search import start_searchable

_CALL_SECONDS = 1.5
UPDATE_SECONDS = 10.0
# Between repeats of an aborted update; each try includes the SDK's own retries, of two seconds when Temporal is away.
_PAUSES = (0.1, 0.0)
DIGEST = "request_digest"
# A workflow task whose worker died is handed to another one after this long.
TASK_TIMEOUT = timedelta(seconds=2)

Signal = CancelOrder | UpdateAddress | ReviewDecision
Update = CancelOrder | UpdateAddress | ReviewOrder


@dataclass(frozen=True)
class WorkflowView:
    """What Temporal says about an order's workflow."""

    status: WorkflowExecutionStatus
    run_id: str
    request_digest: str | None

    @property
    def running(self) -> bool:
        """Whether it can still hear messages."""
        return self.status is WorkflowExecutionStatus.RUNNING


@asynccontextmanager
async def _explained(order_id: str, within_seconds: float | None = _CALL_SECONDS) -> AsyncIterator[asyncio.Timeout]:
    """Turn an RPC's failure into OrderNotFound or DependencyUnavailable. The time limit spans the SDK's own retries."""
    try:
        async with asyncio.timeout(within_seconds) as limit:
            yield limit
    except TimeoutError as error:
        raise DependencyUnavailable("temporal", f"Temporal does not answer within {within_seconds} s") from error
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND and "namespace" not in error.message.lower():
            raise OrderNotFound(f"Temporal knows no order {order_id} that takes messages") from error
        raise DependencyUnavailable("temporal", f"Temporal does not answer ({error.status.name.lower()})") from error
    except SettingsError as error:  # it answered, but this process lacks the codec's key
        raise DependencyUnavailable("temporal", str(error)) from error


class Turns:
    """So many starts at the same time. The others wait for as long as these are answered.

    A crowd that starts all at once would fill the server's own queues, and attempts of running orders would be late
    behind it.
    """

    def __init__(self, at_once: int) -> None:
        self._gate = asyncio.Semaphore(at_once)
        self._waiting: set[asyncio.Timeout] = set()

    @asynccontextmanager
    async def turn(self, limit: asyncio.Timeout) -> AsyncIterator[None]:
        """Wait for a turn, and hold it; `limit` is what bounds the caller, and begins anew with each answer."""
        self._waiting.add(limit)
        try:
            await self._gate.acquire()
        finally:
            self._waiting.discard(limit)
        try:
            yield
        finally:
            self._gate.release()
        later = asyncio.get_running_loop().time() + _CALL_SECONDS
        for each in self._waiting:
            if not each.expired():
                each.reschedule(later)


async def start(client: Client, order: OrderInput, turns: Turns | None = None) -> bool:
    """Start the order's workflow, in its turn; False when there is one by that id already, running or closed."""
    async with _explained(order.order_id) as limit, turns.turn(limit) if turns else nullcontext():
        try:
            await start_searchable(client, order, lambda attributes: _start(client, order, attributes))
        except WorkflowAlreadyStartedError:
            return False
    return True


async def _start(client: Client, order: OrderInput, attributes: TypedSearchAttributes) -> None:
    # By name: the workflow's module belongs to the workers.
    await client.start_workflow(
        "OrderWorkflow",
        order,
        id=order_workflow_id(order.order_id),
        task_queue=ORDER_QUEUE,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        task_timeout=TASK_TIMEOUT,
        memo={DIGEST: request_digest(order)},
        search_attributes=attributes,
        static_summary=f"{order.amount_cents / 100:.2f}, policy {order.policy.name}",
        static_details=f"review {order.review}, deadline {order.deadline_seconds:g} s, faults {order.faults.scenario}",
    )


async def view(client: Client, order_id: OrderId) -> WorkflowView:
    """Describe the order's workflow; raises OrderNotFound."""
    async with _explained(order_id):
        found = await client.get_workflow_handle(order_workflow_id(order_id)).describe()
        digest = await found.memo_value(DIGEST, None)
    status = found.status or WorkflowExecutionStatus.RUNNING
    return WorkflowView(status, found.run_id, digest if isinstance(digest, str) else None)


async def failing(client: Client, order_id: OrderId, within_seconds: float = _CALL_SECONDS) -> FailingTask | None:
    """The order's workflow task, or its shipping's, if that fails."""
    async with _explained(order_id, within_seconds):
        return await failing_task(client, order_workflow_id(order_id))


async def signal(client: Client, order_id: OrderId, name: str, message: Signal) -> None:
    """Send a signal; raises OrderNotFound when no running workflow takes it, be it unknown or closed."""
    async with _explained(order_id):
        await client.get_workflow_handle(order_workflow_id(order_id)).signal(name, message)


async def update(client: Client, order_id: OrderId, name: str, message: Update, update_id: str) -> Answer:
    """Carry out an update; raises MessageRefused, OrderNotFound (unknown or closed), or DependencyUnavailable.

    An update that the server aborts is repeated under the same id, so that it acts once.
    """
    last = DependencyUnavailable("worker", _no_worker())
    try:
        async with asyncio.timeout(UPDATE_SECONDS):
            for wait in _PAUSES:
                try:
                    return await _update(client, order_id, name, message, update_id)
                except DependencyUnavailable as error:
                    last = error
                await asyncio.sleep(wait)
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise asyncio.CancelledError from None  # the caller went away; the SDK hid it
    raise last


def _no_worker() -> str:
    return (
        f"no worker answered within {UPDATE_SECONDS:g} s; the message may still be carried out: "
        "look at the order's status, or repeat it with the same Idempotency-Key"
    )


async def _update(client: Client, order_id: OrderId, name: str, message: Update, update_id: str) -> Answer:
    async with _explained(order_id, within_seconds=None):
        try:
            handle = client.get_workflow_handle(order_workflow_id(order_id))
            answer: Answer = await handle.execute_update(name, message, id=update_id, result_type=Answer)
        except WorkflowUpdateFailedError as error:
            cause = error.cause
            if isinstance(cause, ApplicationError) and cause.type == "AcceptedUpdateCompletedWorkflow":
                raise OrderNotFound(f"order {order_id} ended before it could answer") from error
            raise MessageRefused(cause.message if isinstance(cause, ApplicationError) else str(cause)) from error
    return answer


async def history(client: Client, workflow_id: str) -> tuple[str, str, list[HistoryEvent]]:
    """Run id, status and events of a workflow's latest run; raises OrderNotFound when Temporal has none."""
    async with _explained(workflow_id):
        handle = client.get_workflow_handle(workflow_id)
        found = await handle.describe()
        latest: Any = client.get_workflow_handle(workflow_id, run_id=found.run_id)
        events = [event async for event in latest.fetch_history_events()]
        with suppress(SettingsError):  # without the codec's key, messages stay hidden; names and times need none
            for failure in [failure for event in events for failure in _failures(event)]:
                await reveal(failure, client.data_converter)
    return found.run_id, (found.status or WorkflowExecutionStatus.RUNNING).name, events


def _failures(event: HistoryEvent) -> list[Failure]:
    """The failures in an event, as they stand in it."""
    kind = event.WhichOneof("attributes")
    fields = getattr(event, kind).ListFields() if kind else ()
    return [value for _, value in fields if isinstance(value, Failure)]
