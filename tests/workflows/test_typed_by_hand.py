"""What people type in Temporal's UI and CLI: nothing that reaches an order stalls it, and every refusal is an event."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import Any

import pytest
from support.shop import Handle, Shop, until
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from orderkit.core.calls import ShippingInput
from orderkit.core.faults import FaultPlan
from orderkit.core.messages import SIGNALS, CancelOrder, ReviewDecision
from orderkit.core.orders import OrderId, OrderInput, Review, order_workflow_id, shipping_workflow_id
from orderkit.core.policies import BUDGET, SPEC
from orderkit.core.steps import ORDER_QUEUE, SHIPPING_QUEUE, Step
from orderkit.temporal.orders import TASK_TIMEOUT

WRONG: dict[str, list[Any]] = {
    "no input": [],
    "an empty object": [{}],
    "null": [None],
    "text": ["ada"],
    "a number": [5],
    "a list": [[1]],
    "two inputs": [{"reviewer": "ada"}, {"reviewer": "bob"}],
    "a wrong type": [{"reviewer": 1, "cancelled_by": 1, "reason": 1, "updated_by": 1, "new_address": 1, "run": "x"}],
    "bytes": [b"\x00\xff"],
}


async def refusals(shop: Shop, order_id: OrderId) -> list[dict[str, Any]]:
    events = await shop.reader.events(order_id)
    return [event["payload_json"] for event in events if event["type"] == "message_refused"]


async def in_review(shop: Shop, order_id: OrderId, deadline_seconds: float = 60) -> Handle:
    handle = await shop.start(order_id, review=Review.HUMAN, deadline_seconds=deadline_seconds)

    async def waits() -> bool:
        return await shop.state(order_id) == "in_review"

    await until(waits, "the review is open")
    return handle


@pytest.mark.parametrize("shape", WRONG)
async def test_a_signal_of_a_wrong_shape_is_refused_and_the_order_goes_on(
    shop: Shop, order_id: OrderId, shape: str
) -> None:
    handle = await in_review(shop, order_id)
    for name in SIGNALS:
        await handle.signal(name, args=WRONG[shape])

    async def all_noted() -> bool:
        return {each["message"] for each in await refusals(shop, order_id)} == set(SIGNALS)

    await until(all_noted, "every refusal is an event")
    await handle.signal("approve_order", ReviewDecision("vera"))
    assert await shop.end(handle) == "shipped"
    noted = await refusals(shop, order_id)
    assert all(each["count"] == 1 and "it takes" in each["reason"] for each in noted)
    assert "ada" not in json.dumps(noted)  # never what it held
    assert await shop.findings(order_id) == []


async def test_fields_that_nobody_knows_are_refused_as_the_api_does(shop: Shop, order_id: OrderId) -> None:
    handle = await in_review(shop, order_id)
    await handle.signal("cancel_order", {"cancelled_by": "ada", "reason": "x", "resaon": "secret"})
    await handle.signal("cancel_order", CancelOrder("no", "ada"))
    assert await shop.end(handle) == "cancelled"
    [noted] = await refusals(shop, order_id)
    assert "more than it takes" in noted["reason"] and "resaon" not in json.dumps(noted)


async def test_an_unknown_name_is_refused_and_the_deadline_is_kept(shop: Shop, order_id: OrderId) -> None:
    handle = await in_review(shop, order_id, deadline_seconds=3)
    await handle.signal("aprove_order", ReviewDecision("vera"))
    await handle.signal("x" * 500 + "\n", {})
    assert await shop.end(handle) == "cancelled"  # nobody reviewed it in time
    noted = {each["message"]: each["reason"] for each in await refusals(shop, order_id)}
    assert "approve_order" in noted["aprove_order"]
    assert max(map(len, noted)) <= 60
    summary = await shop.reader.summary(order_id)
    assert summary is not None and summary["within_deadline"]


async def test_a_charged_order_that_gets_nonsense_is_still_undone_in_time(shop: Shop, order_id: OrderId) -> None:
    hung = FaultPlan(script={Step.PREPARE: ["hang"] * 20})
    handle = await shop.start(order_id, policy=BUDGET, deadline_seconds=4, faults=hung)
    await shop.step_reached(order_id, Step.PREPARE)
    await handle.signal("approve_order")
    await handle.signal("update_address", args=[1, 2])
    assert await shop.end(handle) == "failed"
    money = [line["kind"] for line in await shop.reader.ledger(order_id) if line["who"] == "payment provider"]
    assert money == ["charge", "refund"]
    assert await shop.findings(order_id) == []


async def test_two_thousand_refusals_fill_neither_history_nor_table(shop: Shop, order_id: OrderId) -> None:
    handle = await in_review(shop, order_id, deadline_seconds=120)
    for first in range(0, 2_000, 20):
        await asyncio.gather(*(handle.signal(f"nonsense-{first + n}") for n in range(20)))
    await handle.signal("approve_order", ReviewDecision("vera"))
    assert await shop.end(handle, timeout_seconds=90) == "shipped"
    noted = await refusals(shop, order_id)
    assert len(noted) <= 20
    history = await handle.fetch_history()
    others = [e for e in history.events if not e.HasField("workflow_execution_signaled_event_attributes")]
    workflow_tasks = sum("workflow_task" in (e.WhichOneof("attributes") or "") for e in others)
    assert len(others) - workflow_tasks < 150
    assert await shop.findings(order_id) == []


async def test_shipping_refuses_every_message(shop: Shop, order_id: OrderId, client: Client) -> None:
    handle = await shop.start(order_id, policy=BUDGET, faults=FaultPlan(script={Step.PREPARE: ["slow(200)", "ok"]}))
    shipping = client.get_workflow_handle(shipping_workflow_id(order_id))

    async def signalled() -> bool:
        try:
            await shipping.signal("cancel_order")
        except RPCError:
            return False
        return True

    await until(signalled, "the child takes a signal")
    assert await shop.end(handle) == "shipped"
    [noted] = await refusals(shop, order_id)
    assert order_workflow_id(order_id) in noted["reason"]
    assert await shop.findings(order_id) == []


@pytest.mark.parametrize("update", ["cancel", "address", "review"])
@pytest.mark.parametrize("shape", ["no input", "null", "text", "two inputs", "a wrong type"])
async def test_an_update_of_a_wrong_shape_fails_for_its_sender_alone(
    shop: Shop, order_id: OrderId, update: str, shape: str
) -> None:
    handle = await in_review(shop, order_id)
    with pytest.raises(Exception, match=r".") as caught:
        async with asyncio.timeout(10):
            await handle.execute_update(update, args=WRONG[shape])
    assert not isinstance(caught.value, TimeoutError)
    await handle.signal("approve_order", ReviewDecision("vera"))
    assert await shop.end(handle) == "shipped"


# Starts


async def failure_of(handle: WorkflowHandle[Any, Any]) -> ApplicationError:
    with pytest.raises(WorkflowFailureError) as caught:
        async with asyncio.timeout(10):
            await handle.result()
    assert isinstance(caught.value.cause, ApplicationError), caught.value.cause
    return caught.value.cause


@pytest.mark.parametrize("workflow", ["OrderWorkflow", "ShippingWorkflow"])
@pytest.mark.parametrize("shape", WRONG)
async def test_a_start_without_a_usable_input_fails_at_once_and_names_what_is_missing(
    shop: Shop, client: Client, order_id: OrderId, workflow: str, shape: str
) -> None:
    queue = ORDER_QUEUE if workflow == "OrderWorkflow" else SHIPPING_QUEUE
    handle = await client.start_workflow(
        workflow, args=WRONG[shape], id=order_workflow_id(order_id), task_queue=queue, task_timeout=TASK_TIMEOUT
    )
    failure = await failure_of(handle)
    assert failure.type == "InvalidInput"
    assert workflow in failure.message or "order_id" in failure.message or "takes one" in failure.message
    assert await shop.reader.events(order_id) == []


HALF: dict[str, tuple[dict[str, Any], str]] = {
    "an item without a sku": ({"items": [{}]}, "items"),
    "a deadline that is text": ({"deadline_seconds": "soon"}, "deadline_seconds"),
    "a deadline beyond all time": ({"deadline_seconds": 1e300}, "deadline"),
    "a review that nobody knows": ({"review": "mabye"}, "review"),
    "a policy without limits": ({"policy": asdict(SPEC) | {"attempt_timeout_seconds": {}}}, "policy"),
    "a policy that takes no time": (
        {"policy": asdict(SPEC) | {"attempt_timeout_seconds": dict.fromkeys(SPEC.attempt_timeout_seconds, 0)}},
        "policy",
    ),
    "a policy that waits for ever": ({"policy": asdict(SPEC) | {"max_wait_seconds": 1e300}}, "policy"),
    "a fault that nobody knows": ({"faults": {"script": {"charge": ["explode"]}}}, "faults"),
    "a script that is text": ({"faults": {"script": {"charge": "error"}}}, "faults"),
    "a step that nobody knows": ({"faults": {"script": {"pay": ["error"]}}}, "faults"),
}


@pytest.mark.parametrize("half", HALF)
async def test_half_an_order_fails_at_once_and_names_the_field(
    shop: Shop, client: Client, order_id: OrderId, half: str
) -> None:
    fields, named = HALF[half]
    handle = await client.start_workflow(
        "OrderWorkflow",
        {"order_id": order_id, **fields},
        id=order_workflow_id(order_id),
        task_queue=ORDER_QUEUE,
        task_timeout=TASK_TIMEOUT,
    )
    failure = await failure_of(handle)
    assert failure.type == "InvalidInput" and named in failure.message
    assert await shop.reader.events(order_id) == []


async def test_reconcile_started_by_hand_without_input_does_its_work(client: Client, shop: Shop) -> None:
    handle = await client.start_workflow("ReconcileWorkflow", id="reconcile-by-hand", task_queue=ORDER_QUEUE)
    async with asyncio.timeout(20):
        assert "settled" in await handle.result()


# A second workflow for an order


async def test_a_workflow_of_another_name_ends_at_once_and_leaves_the_order_alone(
    shop: Shop, client: Client, order_id: OrderId
) -> None:
    own = await in_review(shop, order_id)
    order = OrderInput(order_id, review=Review.HUMAN, deadline_seconds=60)
    stranger = await client.start_workflow("OrderWorkflow", order, id=f"my-demo-{order_id}", task_queue=ORDER_QUEUE)
    failure = await failure_of(stranger)
    assert failure.type == "InvalidInput" and order_workflow_id(order_id) in failure.message
    await own.signal("approve_order", ReviewDecision("vera"))
    assert await shop.end(own) == "shipped"
    assert await shop.findings(order_id) == []


@pytest.mark.parametrize("ended", ["shipped", "cancelled"])
async def test_starting_a_workflow_like_this_one_leaves_the_ended_order_alone(
    shop: Shop, client: Client, order_id: OrderId, ended: str
) -> None:
    handle = await in_review(shop, order_id)
    message = ReviewDecision("vera")
    await handle.signal("approve_order" if ended == "shipped" else "reject_order", message)
    assert await shop.end(handle) == ended
    before = [event["type"] for event in await shop.reader.events(order_id) if event["step"] is None]
    order = OrderInput(order_id, review=Review.HUMAN, deadline_seconds=60)
    again = await client.start_workflow("OrderWorkflow", order, id=order_workflow_id(order_id), task_queue=ORDER_QUEUE)
    failure = await failure_of(again)
    assert failure.type == "OrderExists" and "a workflow of its own" in failure.message
    assert await shop.state(order_id) == ended
    assert [event["type"] for event in await shop.reader.events(order_id) if event["step"] is None] == before


async def test_shipping_that_no_order_started_ends_at_once(shop: Shop, client: Client, order_id: OrderId) -> None:
    call = ShippingInput(order_id, FaultPlan(), SPEC)
    handle = await client.start_workflow(
        "ShippingWorkflow", call, id=shipping_workflow_id(order_id), task_queue=SHIPPING_QUEUE
    )
    failure = await failure_of(handle)
    assert failure.type == "InvalidInput" and order_workflow_id(order_id) in failure.message
    order = await shop.start(order_id)  # whose own shipping has that id, too
    assert await shop.end(order) == "shipped"
    assert await shop.findings(order_id) == []


async def test_a_repeated_shipping_run_and_another_orders_first_one_are_different_workflows(
    shop: Shop, order_id: OrderId
) -> None:
    other_id = OrderId(f"{order_id}-2")
    other = await shop.start(other_id, policy=BUDGET, faults=FaultPlan(script={Step.PREPARE: ["slow(200)"] * 2}))
    handle = await shop.start(order_id, policy=BUDGET, faults=FaultPlan(script={Step.DISPATCH: ["decline"]}))
    assert [await shop.end(each) for each in (handle, other)] == ["shipped", "shipped"]
    assert await shop.findings(order_id, other_id) == []
