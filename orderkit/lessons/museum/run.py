"""Runs an exhibit on the real stack: its own task queue, real activities, recorded attempts, fixed faults and messages.

The worker lives in the caller's event loop, and only as long as the run. So nothing is left behind when a kernel dies,
no process needs looking after, and no cell can block it: while it works, the cell that started it awaits it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.worker import Worker

from orderkit.business import Business
from orderkit.core.faults import FaultPlan, check_plan, parse_fault
from orderkit.core.orders import OrderId, OrderInput, order_workflow_id
from orderkit.core.steps import ORDER_QUEUE
from orderkit.errors import InvalidFaultPlan
from orderkit.lessons.museum.activities import NoteActivities
from orderkit.lessons.museum.exhibits import Exhibit, TimedMessage
from orderkit.store.database import Pool
from orderkit.store.events import PostgresAttemptLog, Reader
from orderkit.store.orders import PostgresOrders
from orderkit.store.world import SimulatedCarrier, SimulatedPaymentProvider
from orderkit.temporal.orders import TASK_TIMEOUT
from orderkit.worker.attempts import RecordAttempts

_LOOK_SECONDS = 0.02
_MESSAGE_SECONDS = 5.0  # what a message waits for comes within this, or never
_AFTER_DEADLINE_SECONDS = 0.5  # an order that is still open then stays so …
_SURE_END_SECONDS = 5.0  # … unless the server or OrderWorkflow is about to end it, on a busy machine

Handle = WorkflowHandle[Any, Any]


class VisitorsClock:
    """The Clock port of a worker that shares its process with a notebook."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    def crash(self) -> None:
        """Never: no plan that crashes is taken."""
        raise InvalidFaultPlan("the museum's worker does not crash")


@dataclass(frozen=True)
class Ran:
    """An order that was run; `status` is Temporal's word for its workflow, in lower case."""

    order_id: OrderId
    status: str


async def run_exhibit(exhibit: Exhibit, client: Client, pool: Pool, faults: FaultPlan | None = None) -> Ran:
    """Run one order through the broken workflow, with `faults` in place of its own.

    Returns when the workflow has ended, or half a second after its deadline: with the exhibit's own faults, within 5 s.
    Raises InvalidFaultPlan.
    """
    plan = faults if faults is not None else FaultPlan(script=exhibit.script)
    _check_harmless(plan)
    order, handle = await _start(exhibit, exhibit.name, plan, client, pool)
    business = Business(PostgresOrders(pool), SimulatedPaymentProvider(pool), SimulatedCarrier(pool), VisitorsClock())
    worker = Worker(
        client,
        task_queue=museum_queue(order.order_id),
        workflows=[exhibit.workflow],
        activities=[
            *exhibit.order_activities(business).all,
            *exhibit.shipping_activities(business).all,
            *NoteActivities(business.orders).all,
        ],
        interceptors=[RecordAttempts(PostgresAttemptLog(pool))],
    )
    patience = _SURE_END_SECONDS if exhibit.execution_timeout else _AFTER_DEADLINE_SECONDS
    async with worker:
        return await _see_through(exhibit, order, handle, pool, patience)


async def run_mended(exhibit: Exhibit, client: Client, pool: Pool, faults: FaultPlan | None = None) -> Ran:
    """The same order and messages through OrderWorkflow; needs workers on `order-tq` and `shipping-tq`."""
    plan = faults if faults is not None else FaultPlan(script=exhibit.script)
    order, handle = await _start(exhibit, f"{exhibit.name}-mended", plan, client, pool, mended=True)
    return await _see_through(exhibit, order, handle, pool, _SURE_END_SECONDS)


def museum_queue(order_id: OrderId) -> str:
    """The task queue of one run: a worker of one exhibit never meets the order of another."""
    return f"museum-{order_id}"


def _check_harmless(plan: FaultPlan) -> None:
    check_plan(plan)
    kinds = [parse_fault(fault).kind for faults in plan.script.values() for fault in faults]
    if any(kind.startswith("crash") for kind in kinds):
        raise InvalidFaultPlan(
            "a crash would kill this process, where the museum's worker lives; use error_after or hang_after"
        )


async def _start(
    exhibit: Exhibit, name: str, plan: FaultPlan, client: Client, pool: Pool, mended: bool = False
) -> tuple[OrderInput, Handle]:
    """Start an order called `name`, or `name-2`, `name-3` … where that is taken."""
    order = OrderInput(OrderId(name), review=exhibit.review, deadline_seconds=exhibit.deadline_seconds, faults=plan)
    limit = None if mended or exhibit.execution_timeout is None else exhibit.execution_timeout(order)
    number = 1
    while True:
        if await Reader(pool).order(order.order_id) is None:
            try:
                return order, await client.start_workflow(
                    "OrderWorkflow" if mended else exhibit.workflow.__name__,
                    order,
                    id=order_workflow_id(order.order_id),
                    task_queue=ORDER_QUEUE if mended else museum_queue(order.order_id),
                    task_timeout=TASK_TIMEOUT,
                    execution_timeout=limit,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                )
            except WorkflowAlreadyStartedError:
                pass
        number += 1
        order = replace(order, order_id=OrderId(f"{name}-{number}"))


async def _see_through(exhibit: Exhibit, order: OrderInput, handle: Handle, pool: Pool, patience_seconds: float) -> Ran:
    """Say what the exhibit's customer says; wait for the end, as long after the deadline as `patience_seconds`."""
    reader = Reader(pool)

    async def send() -> None:
        for each in exhibit.messages:
            if await _reached(each, order.order_id, reader):
                await handle.signal(each.signal, each.message)

    sending = asyncio.create_task(send())
    status = WorkflowExecutionStatus.RUNNING
    try:
        async with asyncio.timeout(order.deadline_seconds + patience_seconds):
            while status is WorkflowExecutionStatus.RUNNING:
                await asyncio.sleep(_LOOK_SECONDS)
                status = (await handle.describe()).status or status
    except TimeoutError:
        pass  # still running, and that is a result
    finally:
        sending.cancel()
        (sent,) = await asyncio.gather(sending, return_exceptions=True)
    if isinstance(sent, Exception):
        raise sent
    return Ran(order.order_id, status.name.lower())


async def _reached(message: TimedMessage, order_id: OrderId, reader: Reader) -> bool:
    """Wait for the moment of a message; False when it does not come."""
    try:
        async with asyncio.timeout(_MESSAGE_SECONDS):
            while True:
                events = await reader.events(order_id)
                if any(message.after in (event["type"], event["step"]) for event in events):
                    return True
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        return False
