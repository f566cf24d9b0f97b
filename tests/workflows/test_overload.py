"""More orders than the machine can do at once: what cannot be done now waits in the queue, and nothing fails of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from types import SimpleNamespace

from support.shop import ROOMY, Shop
from temporalio.worker import SlotPermit, SlotReleaseContext, SlotReserveContext

from orderkit.core.faults import FaultPlan
from orderkit.core.messages import CancelOrder
from orderkit.core.orders import OrderId
from orderkit.core.policies import BUDGET, SPEC
from orderkit.core.steps import STEP_ACTIVITIES, Step
from orderkit.store.measurements import attempts_made
from orderkit.worker.slots import WorkingSlots

# Our slots look at nothing in it.
ANY: SlotReserveContext = None  # type: ignore[assignment]


def use(slots: WorkingSlots, permit: SlotPermit) -> None:
    slots.mark_slot_used(SimpleNamespace(permit=permit))  # type: ignore[arg-type]


def release(slots: WorkingSlots, permit: SlotPermit | None) -> None:
    assert permit is not None
    slots.release_slot(SlotReleaseContext(slot_info=None, permit=permit))


async def test_a_slot_is_free_again_when_its_attempt_ends_or_waits() -> None:
    slots = WorkingSlots(working=2, most=3)
    held = [await slots.reserve_slot(ANY), await slots.reserve_slot(ANY)]
    for permit in held:
        use(slots, permit)
    assert slots.try_reserve_slot(ANY) is None
    third = asyncio.create_task(slots.reserve_slot(ANY))
    await asyncio.sleep(0.01)
    assert not third.done()
    with slots.lent():
        held.append(await third)  # in the place of the one that waits
        with slots.lent():
            assert slots.try_reserve_slot(ANY) is None  # three are the most
        use(slots, held[-1])
    assert slots.try_reserve_slot(ANY) is None  # all three work
    release(slots, held.pop())
    assert slots.try_reserve_slot(ANY) is None  # two still do
    release(slots, held.pop())
    assert slots.try_reserve_slot(ANY) is not None


async def test_polls_of_a_quiet_worker_are_in_no_eager_tasks_way() -> None:
    slots = WorkingSlots(working=2, most=10)
    polls = [await slots.reserve_slot(ANY), await slots.reserve_slot(ANY)]
    eager = [slots.try_reserve_slot(ANY), slots.try_reserve_slot(ANY)]
    assert slots.try_reserve_slot(ANY) is None  # two work
    another = asyncio.create_task(slots.reserve_slot(ANY))
    release(slots, polls.pop())  # a poll that brought nothing
    release(slots, polls.pop())
    await asyncio.sleep(0.01)
    assert not another.done()
    release(slots, eager.pop())
    await asyncio.wait_for(another, 1)
    release(slots, eager.pop())
    release(slots, another.result())
    assert [await asyncio.wait_for(slots.reserve_slot(ANY), 1) for _ in range(2)]  # nothing was counted twice


async def test_orders_at_once_ship_and_hung_ones_are_in_nobodys_way(shop: Shop, order_id: OrderId) -> None:
    """80 calm orders of both policies, among 12 whose carrier never answers: many more than there are slots."""
    hung = FaultPlan(script={Step.DISPATCH: ["hang"] * 100})
    calm = [OrderId(f"{order_id}-{number}") for number in range(80)]
    stuck = [OrderId(f"{order_id}-stuck-{number}") for number in range(12)]
    await asyncio.gather(
        *(shop.start(each, policy=ROOMY, faults=hung, deadline_seconds=300) for each in stuck),
        *(shop.start(each, policy=(SPEC, BUDGET)[n % 2], deadline_seconds=300) for n, each in enumerate(calm)),
    )
    ends = await asyncio.gather(*(shop.end(shop.handle(each), 110) for each in calm))
    assert Counter(ends) == {"shipped": 80}
    await asyncio.gather(*(shop.handle(each).signal("cancel_order", CancelOrder("enough", "ann")) for each in stuck))
    assert Counter(await asyncio.gather(*(shop.end(shop.handle(each), 60) for each in stuck))) == {"cancelled": 12}
    assert await shop.findings(*calm, *stuck) == []


async def test_each_attempt_that_another_one_followed_is_counted(shop: Shop, order_id: OrderId) -> None:
    """Whatever its worker thought of it: an answer that came too late was `completed` in its eyes."""
    again = OrderId(f"{order_id}-again")
    faults = FaultPlan(script={Step.CHARGE: ["error"], Step.PREPARE: ["error_after", "error"]})
    for each in (await shop.start(order_id), await shop.start(again, faults=faults)):
        assert await shop.end(each) == "shipped"
    assert await attempts_made(shop.pool, [order_id]) == (6, 0)
    assert await attempts_made(shop.pool, [again]) == (9, 3)


async def test_what_must_be_done_goes_before_orders_under_way_and_those_before_new_ones(
    shop: Shop, order_id: OrderId
) -> None:
    handle = await shop.start(order_id)
    assert await shop.end(handle) == "shipped"
    keys = {}
    for workflow_id in (handle.id, f"shipping-{order_id}"):
        async for event in shop.client.get_workflow_handle(workflow_id).fetch_history_events():
            if event.HasField("activity_task_scheduled_event_attributes"):
                scheduled = event.activity_task_scheduled_event_attributes
                keys[scheduled.activity_type.name] = scheduled.priority.priority_key
    by_step = {step: keys[activity] for step, activity in STEP_ACTIVITIES.items() if activity in keys}
    assert by_step == {
        Step.RECEIVE: 3,
        Step.VALIDATE: 3,
        Step.CHARGE: 2,
        Step.PREPARE: 2,
        Step.DISPATCH: 2,
        Step.SHIP: 1,
    }
