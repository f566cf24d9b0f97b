"""Gathers the facts: from Temporal one history a workflow, then from PostgreSQL in one query for many orders."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.converter import DataConverter
from temporalio.service import RPCError, RPCStatusCode

from orderkit.audit.facts import (
    ActivityFact,
    EventFact,
    HistoryFact,
    MoneyFact,
    OrderFacts,
    PaymentFact,
    ShipmentFact,
)
from orderkit.core.orders import OrderState
from orderkit.core.steps import ACTIVITY_STEPS, NOTE_REFUSAL
from orderkit.store.audit import audit_rows, audited_workflows
from orderkit.store.database import Pool
from orderkit.store.rows import Row, to_cents
from orderkit.temporal.failing import failing_in

HISTORIES_AT_ONCE = 16
ORDERS_AT_ONCE = 64
_ENDS = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: ("activity_task_completed_event_attributes", "completed"),
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: ("activity_task_failed_event_attributes", "failed"),
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: ("activity_task_timed_out_event_attributes", "timed_out"),
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED: ("activity_task_canceled_event_attributes", "cancelled"),
}


async def collect(
    pool: Pool, client: Client, order_ids: Sequence[str] | None = None, since: datetime | None = None
) -> AsyncIterator[OrderFacts]:
    """The facts of the orders named, of all, or of those created since then, in the order they were created.

    Temporal's histories come first: what Temporal has seen complete is in the tables by then. The other way round, an
    attempt that ended between the two reads would look like one that left no event.
    """
    workflows = await audited_workflows(pool, order_ids, since)
    gate = asyncio.Semaphore(HISTORIES_AT_ONCE)

    async def history_of(order: Row) -> HistoryFact | None:
        async with gate:
            return await read_history(client, order["workflow_id"], order["first_run_id"])

    for first in range(0, len(workflows), ORDERS_AT_ONCE):
        chunk = workflows[first : first + ORDERS_AT_ONCE]
        histories = await asyncio.gather(*map(history_of, chunk))
        rows = {row["id"]: row for row in await audit_rows(pool, [order["id"] for order in chunk])}
        for order, history in zip(chunk, histories, strict=True):
            if order["id"] in rows:
                yield _facts(rows[order["id"]], history)


def _facts(row: Row, history: HistoryFact | None) -> OrderFacts:
    return OrderFacts(
        order_id=row["id"],
        state=OrderState(row["state"]),
        amount_cents=to_cents(row["amount"]),
        address=row["address_json"],
        age_seconds=row["age_seconds"],
        closed_since_seconds=row["closed_since_seconds"],
        deadline_seconds=row["deadline_seconds"],
        payments=[PaymentFact(**fact) for fact in row["payments"]],
        events=[
            EventFact(e["type"], e["step"], e["attempt"], e["outcome"], e["run_id"], e["activity_id"], e["reset"])
            for e in row["events"]
        ],
        money=[MoneyFact(**fact) for fact in row["money"]],
        shipments=[ShipmentFact(**fact) for fact in row["shipments"]],
        history=history,
    )


async def read_history(client: Client, workflow_id: str, first_run_id: str | None = None) -> HistoryFact | None:
    """The workflow's status, result and activities, its shipping children's too; None when Temporal has none.

    None too when the name is another workflow's, not begun by `first_run_id`: the order's own was deleted, and somebody
    started one of the same name.
    """
    handle = client.get_workflow_handle(workflow_id)
    try:
        description = await handle.describe()
        events = (await client.get_workflow_handle(workflow_id, run_id=description.run_id).fetch_history()).events
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    began = events[0].workflow_execution_started_event_attributes.first_execution_run_id
    if first_run_id is not None and began != first_run_id:
        return None
    status = description.status or WorkflowExecutionStatus.RUNNING
    activities = _activities(description.run_id, events)
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED:
            child = event.child_workflow_execution_started_event_attributes.workflow_execution
            history = await client.get_workflow_handle(child.workflow_id, run_id=child.run_id).fetch_history()
            activities += _activities(child.run_id, history.events)
    failing = await failing_in(client, description.raw_description)
    outcome = await _outcome(events[-1], client.data_converter)
    return HistoryFact(status.name.lower(), outcome, activities, str(failing) if failing else "")


async def _outcome(last: Any, converter: DataConverter) -> str | None:
    """The outcome in the workflow's result, or in the details of its failure."""
    if last.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
        payloads = last.workflow_execution_completed_event_attributes.result.payloads
    elif last.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
        failure = last.workflow_execution_failed_event_attributes.failure
        payloads = failure.application_failure_info.details.payloads
    else:
        return None
    decoded = await converter.decode(payloads) if payloads else [None]
    return str(decoded[0]["outcome"]) if isinstance(decoded[0], dict) and "outcome" in decoded[0] else None


def _activities(run_id: str, events: Sequence[Any]) -> list[ActivityFact]:
    scheduled = {}
    attempts: dict[int, int] = {}
    begun_by_worker: dict[int, str] = {}
    outcomes: dict[int, str] = {}
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            scheduled[event.event_id] = event.activity_task_scheduled_event_attributes
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            started = event.activity_task_started_event_attributes
            attempts[started.scheduled_event_id] = started.attempt
            if started.request_id:  # else it never started: Temporal wrote this event when a person ended the activity
                begun_by_worker[started.scheduled_event_id] = started.identity
        elif event.event_type in _ENDS:
            attribute, outcome = _ENDS[event.event_type]
            ended = getattr(event, attribute)
            # A person may complete or fail what a worker is at; then no attempt of ours ended so.
            by_hand = outcome in ("completed", "failed") and ended.identity != begun_by_worker.get(
                ended.scheduled_event_id
            )
            outcomes[ended.scheduled_event_id] = "by_hand" if by_hand else outcome
    return [
        ActivityFact(
            run_id=run_id,
            activity_id=attributes.activity_id,
            step=ACTIVITY_STEPS.get(attributes.activity_type.name, attributes.activity_type.name),
            attempts=attempts.get(event_id, 0),
            outcome=outcomes.get(event_id, "open"),
        )
        for event_id, attributes in scheduled.items()
        if attributes.activity_type.name != NOTE_REFUSAL
    ]
