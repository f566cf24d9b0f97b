"""What tests on real servers share: starting orders, waiting for them, auditing them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.service import RPCError, RPCStatusCode

from orderkit.audit.audit import audit
from orderkit.audit.rules import Finding
from orderkit.core.messages import OrderResult
from orderkit.core.orders import OrderId, OrderInput, OrderState, Review, order_workflow_id
from orderkit.core.policies import BUDGET
from orderkit.core.steps import ORDER_QUEUE
from orderkit.store.database import Pool
from orderkit.store.events import Reader
from orderkit.temporal.orders import TASK_TIMEOUT
from orderkit.workflows.order import OrderWorkflow

# Budget with room for a busy machine: only an order's plan makes its attempts time out.
ROOMY = replace(BUDGET, name="roomy", attempt_timeout_seconds=dict.fromkeys(BUDGET.attempt_timeout_seconds, 1.0))
Handle = WorkflowHandle[OrderWorkflow, OrderResult]


async def until(condition: Callable[[], Awaitable[bool]], what: str, timeout_seconds: float = 20) -> None:
    """Wait for a condition; never a fixed sleep."""
    try:
        async with asyncio.timeout(timeout_seconds):
            while not await condition():  # noqa: ASYNC110 - the condition is in another process
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"{what}: not within {timeout_seconds} s") from None


async def delete_workflow(client: Client, workflow_id: str) -> None:
    """As a person may; returns when Temporal knows it no more."""
    await client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace=client.namespace, workflow_execution=WorkflowExecution(workflow_id=workflow_id)
        )
    )

    async def gone() -> bool:
        try:
            await client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            return error.status is RPCStatusCode.NOT_FOUND
        return False

    await until(gone, f"{workflow_id} is deleted", 60)


@dataclass(frozen=True)
class Shop:
    """Orders on a running stack."""

    client: Client
    pool: Pool

    @property
    def reader(self) -> Reader:
        return Reader(self.pool)

    async def start(self, order_id: OrderId, **fields: Any) -> Handle:
        fields.setdefault("review", Review.NONE)
        return await self.client.start_workflow(
            OrderWorkflow.run,
            OrderInput(order_id=order_id, **fields),
            id=order_workflow_id(order_id),
            task_queue=ORDER_QUEUE,
            task_timeout=TASK_TIMEOUT,
        )

    def handle(self, order_id: OrderId) -> Handle:
        return self.client.get_workflow_handle_for(OrderWorkflow.run, order_workflow_id(order_id))

    async def end(self, handle: Handle, timeout_seconds: float = 30) -> str:
        """How Temporal says the order ended."""
        try:
            async with asyncio.timeout(timeout_seconds):
                return (await handle.result()).outcome
        except WorkflowFailureError as error:
            if isinstance(error.cause, CancelledError):
                return "canceled"
            assert isinstance(error.cause, ApplicationError), error.cause
            assert error.cause.type == "OrderFailed"
            return str(error.cause.details[0]["outcome"])

    async def state(self, order_id: OrderId) -> OrderState | None:
        row = await self.reader.order(order_id)
        return OrderState(row["state"]) if row else None

    async def findings(self, *order_ids: OrderId) -> list[Finding]:
        return (await audit(self.pool, self.client, order_ids)).findings

    async def attempts(self, order_id: OrderId) -> list[tuple[str, int, str]]:
        """(step, attempt, outcome), in the order they started."""
        return [(a["step"], a["attempt"], a["outcome"]) for a in await self.reader.attempts(order_id)]

    async def event_types(self, order_id: OrderId) -> list[str]:
        return [event["type"] for event in await self.reader.events(order_id) if event["step"] is None]

    async def step_reached(self, order_id: OrderId, step: str, attempt: int = 1) -> None:
        """Wait until an attempt of `step` has started."""

        async def started() -> bool:
            return any(a["step"] == step and a["attempt"] >= attempt for a in await self.reader.attempts(order_id))

        await until(started, f"{order_id} reaches {step}, attempt {attempt}")
