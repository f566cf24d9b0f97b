"""Who knows an order: the database, else Temporal."""

from __future__ import annotations

from collections.abc import Awaitable

from fastapi import Response
from temporalio.client import WorkflowExecutionStatus

from orderkit.api.backends import Backends
from orderkit.contract import FailingWorkflow, OrderStatus, Outcome, Payment, StepError
from orderkit.core.orders import OrderId, order_workflow_id
from orderkit.errors import DependencyUnavailable, OrderClosed, OrderkitError, OrderNotFound
from orderkit.store.database import Pool
from orderkit.store.rows import Row
from orderkit.store.status import OrderIdentity, order_identity, order_status
from orderkit.temporal import orders as temporal
from orderkit.temporal.failing import FailingTask

_GLANCE_SECONDS = 0.5


def no_order(order_id: OrderId) -> OrderNotFound:
    """The error for an order that neither the database nor Temporal knows."""
    return OrderNotFound(f"nobody knows an order {order_id}")


async def status(backends: Backends, order_id: OrderId, answer: Response | None = None) -> OrderStatus:
    """One database read; Temporal is asked only when there is no row. Raises OrderNotFound.

    With `answer`, which then says how old it is, the read replica may be asked.
    """

    def query(pool: Pool) -> Awaitable[Row | None]:
        return order_status(pool, order_id)

    row = await (backends.look(query, answer, order_id) if answer is not None else backends.read(query))
    return _from_row(row) if row else await _without_row(backends, order_id)


async def check_known(backends: Backends, order_id: OrderId) -> None:
    """Raise OrderNotFound unless the database or Temporal knows the order."""
    if await backends.read(lambda pool: order_identity(pool, order_id)) is None:
        await _without_row(backends, order_id)


async def check_open(backends: Backends, order_id: OrderId) -> DependencyUnavailable | None:
    """Raise OrderClosed when the database says so: the workflow may run on for a moment, deaf.

    A message needs no database: when that is away, or slow, this returns why it did not tell.
    """
    try:
        found = await backends.read(lambda pool: order_identity(pool, order_id), _GLANCE_SECONDS)
    except DependencyUnavailable as error:
        return error
    if found is not None and found.closed:
        raise _closed(order_id, found)
    return None


async def why_no_answer(
    backends: Backends, order_id: OrderId, away: DependencyUnavailable | None = None
) -> OrderkitError:
    """The error for a message that Temporal could not hand to any running workflow: unknown, or closed.

    `away` says that the database did not answer just now; nobody waits for it twice.
    """
    found = None
    if away is None:
        try:
            found = await backends.read(lambda pool: order_identity(pool, order_id))
        except DependencyUnavailable as error:
            away = error
    if found is None:
        workflow = await _view(backends, order_id)
        if workflow is not None:
            return OrderClosed(f"order {order_id} has ended; no message reaches it any more")
        return away or no_order(order_id)
    if found.closed:
        return _closed(order_id, found)
    return OrderClosed(f"order {order_id} is {found.state}, but its workflow no longer runs; it waits to be reconciled")


async def why_not_heard(backends: Backends, order_id: OrderId, error: DependencyUnavailable) -> DependencyUnavailable:
    """The error for a message that no worker took: that the order's workflow fails, where it does."""
    if error.dependency != "worker":
        return error
    task = await _failing(backends, order_id)
    if task is None:
        return error
    return DependencyUnavailable(
        "worker",
        f"order {order_id} stands still and hears no message, since its workflow fails: {task}; mend the code and "
        f"restart the workers, or settle the order: orderkit reconcile {order_id} --terminate",
    )


def _closed(order_id: OrderId, found: OrderIdentity) -> OrderClosed:
    return OrderClosed(f"order {order_id} has ended: it is {found.state}")


async def _view(backends: Backends, order_id: OrderId) -> temporal.WorkflowView | None:
    try:
        return await temporal.view(backends.temporal, order_id)
    except OrderNotFound:
        return None


async def _failing(backends: Backends, order_id: OrderId) -> FailingTask | None:
    """A quick look: the caller has waited for Temporal already."""
    try:
        return await temporal.failing(backends.temporal, order_id, _GLANCE_SECONDS)
    except (DependencyUnavailable, OrderNotFound):
        return None


# How an order ended that left no row, since it was ended from outside before its first step, or was absurd.
_ENDS: dict[WorkflowExecutionStatus, Outcome] = {
    WorkflowExecutionStatus.COMPLETED: "rejected",
    WorkflowExecutionStatus.CANCELED: "cancelled",
}


async def _without_row(backends: Backends, order_id: OrderId) -> OrderStatus:
    workflow = await _view(backends, order_id)
    if workflow is None:
        raise no_order(order_id)
    workflow_id = order_workflow_id(order_id)
    if workflow.running:
        task = await _failing(backends, order_id)
        failing = FailingWorkflow(workflow_id=task.workflow_id, error=task.error, where=task.where) if task else None
        return OrderStatus(order_id=order_id, state="starting", workflow_id=workflow_id, failing=failing)
    outcome = _ENDS.get(workflow.status, "failed")
    reason = f"the workflow is {workflow.status.name.lower()} in Temporal and left no record"
    return OrderStatus(order_id=order_id, state=outcome, outcome=outcome, stop_reason=reason, workflow_id=workflow_id)


def _from_row(row: Row) -> OrderStatus:
    closed = row["closed_at"] is not None
    paid = row["payment_status"] is not None
    return OrderStatus(
        order_id=row["id"],
        state=row["state"],
        outcome=row["state"] if closed else None,
        step=None if closed else row["step"],
        attempts=row["attempts"] or {},
        errors=[StepError(**error) for error in row["errors"] or ()],
        failing=FailingWorkflow.model_validate(row["failing"]) if row["failing"] else None,
        deadline_seconds=row["deadline_seconds"],
        deadline_left_seconds=None if closed else round(row["left_seconds"], 3),
        within_deadline=row["within_deadline"],
        stop_reason=row["stop_reason"],
        stopped_by=row["stopped_by"],
        amount=row["amount"],
        payment=Payment(status=row["payment_status"], amount=row["payment_amount"]) if paid else None,
        tracking=row["tracking"],
        review=row["review"],
        policy=row["policy"],
        scenario=row["scenario"],
        workflow_id=row["workflow_id"],
        started_at=row["started_at"],
        updated_at=row["updated_at"],
        closed_at=row["closed_at"],
    )
