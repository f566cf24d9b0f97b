"""A workflow whose task fails is seen everywhere, with the error and its line; a person can have its order settled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio
from support.api import CANCEL, problem
from support.broken import BrokenOrder
from support.shop import Shop, until
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from orderkit.api import failing
from orderkit.api.backends import Backends
from orderkit.api.failing import FailingWatch
from orderkit.console.feed import to_change
from orderkit.console.html import title_html
from orderkit.console.state import ConsoleState
from orderkit.core.orders import OrderId, OrderInput, order_workflow_id
from orderkit.doctor.doctor import check_workflows
from orderkit.errors import MessageRefused
from orderkit.stack.stack import Stack
from orderkit.store.console import read_orders
from orderkit.store.database import connect
from orderkit.store.events import PostgresAttemptLog
from orderkit.store.status import order_status
from orderkit.temporal.failing import failing_task, running_orders
from orderkit.worker.activities import OrderActivities
from orderkit.worker.attempts import RecordAttempts
from orderkit.worker.process import business_on
from orderkit.worker.reconcile import settle_failing
from orderkit.workflows.order import OrderWorkflow

WHERE = "broken.py, line "


async def events_of(handle: WorkflowHandle[Any, Any]) -> list[HistoryEvent]:
    return [event async for event in handle.fetch_history_events()]


async def failures(handle: WorkflowHandle[Any, Any]) -> list[HistoryEvent]:
    return [e for e in await events_of(handle) if e.HasField("workflow_task_failed_event_attributes")]


async def completed_task(handle: WorkflowHandle[Any, Any]) -> int | None:
    """The id of the first event that says that a workflow task has completed."""
    ids = [e.event_id for e in await events_of(handle) if e.HasField("workflow_task_completed_event_attributes")]
    return ids[0] if ids else None


@pytest_asyncio.fixture
async def stuck(shop: Shop, client: Client, order_id: OrderId) -> AsyncIterator[OrderId]:
    """An order that stands still, on a queue and a worker of its own."""
    queue = f"broken-{order_id}"
    worker = Worker(
        client,
        task_queue=queue,
        workflows=[BrokenOrder],
        activities=OrderActivities(business_on(shop.pool)).all,
        interceptors=[RecordAttempts(PostgresAttemptLog(shop.pool))],
    )
    async with worker:
        workflow_id = order_workflow_id(order_id)
        order = OrderInput(order_id, deadline_seconds=600)
        await client.start_workflow("OrderWorkflow", order, id=workflow_id, task_queue=queue)

        async def fails() -> bool:
            return await failing_task(client, workflow_id) is not None

        await until(fails, "its task fails")
        yield order_id


@asynccontextmanager
async def watching(client: Client, servers: Stack) -> AsyncIterator[FailingWatch]:
    """A watch as the API has one."""
    backends = Backends()

    async def reach() -> Client:
        return client

    async with backends.connecting(servers.database_url, 2, reach):
        yield FailingWatch(backends)


async def looked(client: Client, servers: Stack, order_id: OrderId) -> FailingWatch:
    """The watch after it has looked at this order, which runs."""
    async with watching(client, servers) as watch:
        await watch.look()
        while order_id in watch._left:
            await watch.look()
        return watch


async def test_the_error_and_its_line_are_found(client: Client, stuck: OrderId) -> None:
    found = await failing_task(client, order_workflow_id(stuck))
    assert found is not None
    assert "KeyError" in found.error and found.where.startswith(WHERE) and 'prices["tea"]' in found.where


async def test_status_events_metric_and_console_say_so_and_forget_it_when_it_goes_on(
    client: Client, shop: Shop, servers: Stack, stuck: OrderId
) -> None:
    handle = client.get_workflow_handle(order_workflow_id(stuck))
    for _ in range(2):  # the second look adds nothing, though the failure is in the history once more
        failed = len(await failures(handle))
        assert (await looked(client, servers, stuck)).latest >= 1
        await handle.signal("approve_order", "a@example.com")

        async def fails_again(before: int = failed) -> bool:
            return len(await failures(handle)) > before

        await until(fails_again, "it fails again after a message")
    status = await order_status(shop.pool, stuck)
    assert status is not None and "KeyError" in status["failing"]["error"]
    types = [event["type"] for event in await shop.reader.events(stuck)]
    assert types.count("workflow_failing") == 1
    connection = await connect(servers.database_url)
    try:
        state = ConsoleState().after(to_change(await read_orders(connection, [], [stuck])))
    finally:
        await connection.close()
    order = state.orders[stuck]
    assert "stands still" in title_html(order, order.row.read_at if order.row else order.started_at)
    await handle.terminate()
    assert stuck not in (await looked(client, servers, stuck))._seen
    status = await order_status(shop.pool, stuck)
    assert status is not None and status["failing"] is None


async def test_a_crowd_is_looked_at_in_turns(
    client: Client, servers: Stack, stuck: OrderId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failing, "_MOST", 1)
    names = [OrderId(f"{stuck}-{number}") for number in range(3)]
    for name in names:
        order = OrderInput(name)
        await client.start_workflow("OrderWorkflow", order, id=order_workflow_id(name), task_queue="nobody-polls")

    async def all_listed() -> bool:
        return {stuck, *names} <= (await running_orders(client)).keys()

    await until(all_listed, "they are listed")
    async with watching(client, servers) as watch:
        looks = len(await running_orders(client)) + 1
        for _ in range(looks):
            await watch.look()
        assert stuck in watch._seen
    for name in names:
        await client.get_workflow_handle(order_workflow_id(name)).terminate()


async def test_a_message_is_answered_with_the_real_reason(http: httpx.AsyncClient, stuck: OrderId) -> None:
    for call in ("signals/cancel", "updates/cancel"):
        answer = await http.post(f"/orders/{stuck}/{call}", json=CANCEL, timeout=30)
        if answer.status_code == 202:
            continue  # Temporal took it for later, and says so
        told = problem(answer, 503, "dependency-unavailable")
        assert told["dependency"] == "worker"
        assert "KeyError" in told["detail"] and WHERE in told["detail"] and "reconcile" in told["detail"]


async def test_the_auditor_names_it(shop: Shop, stuck: OrderId) -> None:
    found = {finding.kind: finding.evidence for finding in await shop.findings(stuck)}
    assert "KeyError" in found["workflow_failing"] and WHERE in found["workflow_failing"]  # type: ignore[index]


async def test_doctor_names_it_with_a_remedy(client: Client, stuck: OrderId) -> None:
    check = await check_workflows(client)
    assert not check.ok and "KeyError" in check.detail and "--terminate" in check.remedy


async def test_a_person_has_it_settled(client: Client, shop: Shop, stuck: OrderId) -> None:
    result = await settle_failing(client, stuck)
    assert result.settled[stuck] == "failed"
    assert await shop.state(stuck) == "failed"
    assert await shop.findings(stuck) == []


async def test_an_order_that_goes_on_is_not_terminated(client: Client, shop: Shop, order_id: OrderId) -> None:
    handle = await shop.start(order_id)
    assert await shop.end(handle) == "shipped"
    with pytest.raises(MessageRefused, match="does not fail"):
        await settle_failing(client, order_id)


async def test_a_task_that_the_server_gives_up_itself_is_no_failure(
    shop: Shop, client: Client, order_id: OrderId
) -> None:
    """Somebody resets a run while no worker is there: its task has a failure in the history, and nothing is wrong."""
    queue = f"reset-{order_id}"
    started = await client.start_workflow(
        "OrderWorkflow", OrderInput(order_id, deadline_seconds=600), id=order_workflow_id(order_id), task_queue=queue
    )

    async def begun() -> bool:
        return await completed_task(started) is not None

    activities = OrderActivities(business_on(shop.pool)).all
    async with Worker(client, task_queue=queue, workflows=[OrderWorkflow], activities=activities):
        await until(begun, "its first task is done")
    to_event = await completed_task(started)
    assert to_event is not None
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=started.id, run_id=started.result_run_id or ""),
            workflow_task_finish_event_id=to_event,
            request_id=f"reset-{order_id}",
        )
    )
    again = client.get_workflow_handle(started.id)
    assert any(event.HasField("workflow_task_failed_event_attributes") for event in await events_of(again))
    assert (await again.describe()).raw_description.HasField("pending_workflow_task")
    assert await failing_task(client, started.id) is None
    await again.terminate()
