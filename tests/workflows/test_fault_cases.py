"""Step x moment x kind of fault x message: however an order ends, the auditor finds nothing, within the deadline."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial

import pytest
from support.postgresql import on_newest_and_oldest, on_oldest
from support.shop import ROOMY, Shop

from orderkit.audit.rules import FindingKind
from orderkit.core.faults import FaultPlan
from orderkit.core.messages import CancelOrder, UpdateAddress
from orderkit.core.orders import DEFAULT_ADDRESS, OrderId, OrderState, Review
from orderkit.core.policies import SPEC, UNTIL_DONE, Deadline, Policy
from orderkit.core.steps import Step

FORWARD_STEPS = (Step.RECEIVE, Step.VALIDATE, Step.REVIEW, Step.CHARGE, Step.PREPARE, Step.DISPATCH)
FAULTS = ("error", "error_after", "hang", "hang_after", "slow(150)", "decline")
MESSAGES = ("cancel", "native cancel", "address", "reject")
COMPENSATIONS = (Step.STOP, Step.RECALL, Step.REFUND, Step.CLOSE)


async def play(
    shop: Shop, order_id: OrderId, step: Step, faults: list[str], message: str | None, policy: Policy = ROOMY
) -> str:
    """One order whose `step` meets `faults`, and a message while the first attempt runs."""
    script = {step.value: faults}
    handle = await shop.start(
        order_id, review=Review.AUTO, review_seconds=0.05, policy=policy, faults=FaultPlan(script=script)
    )
    if message:
        await shop.step_reached(order_id, step)
        match message:
            case "cancel":
                await handle.signal("cancel_order", CancelOrder("changed my mind", "ann"))
            case "native cancel":
                await handle.cancel()
            case "reject":
                await handle.signal("cancel_order", CancelOrder("out of stock", "clerk"))
                await handle.signal("cancel_order", CancelOrder("out of stock", "clerk"))
            case "address":
                new = replace(DEFAULT_ADDRESS, street="2 Side Street")
                await handle.signal("update_address", UpdateAddress(new, "ann"))
    return await shop.end(handle)


async def check(shop: Shop, order_id: OrderId, outcome: str) -> None:
    """Temporal and the database agree on the end, the auditor agrees with both, and it was in time."""
    state = await shop.state(order_id)
    assert state == {"canceled": OrderState.CANCELLED}.get(outcome, outcome)
    assert await shop.findings(order_id) == []
    summary = await shop.reader.summary(order_id)
    assert summary is not None
    assert summary["within_deadline"], f"took {summary['duration_seconds']:.1f} s"


async def at_once(shop: Shop, order_id: OrderId, cases: Mapping[str, Callable[[OrderId], Awaitable[None]]]) -> None:
    """Run the cases, 16 at a time; say which ones went wrong.

    One whose order only ran out of time is played again, alone: what the machine carries is not the question here.
    """
    gate = asyncio.Semaphore(16)

    async def gated(case: Callable[[OrderId], Awaitable[None]], own_id: OrderId) -> None:
        async with gate:
            await case(own_id)

    ids = [OrderId(f"{order_id}-{number}") for number in range(len(cases))]
    results = await asyncio.gather(*map(gated, cases.values(), ids), return_exceptions=True)
    wrong = []
    for (name, case), own_id, result in zip(cases.items(), ids, results, strict=True):
        if result is None:
            continue
        if await ran_out_of_time(shop, own_id):
            [result] = await asyncio.gather(case(OrderId(f"{own_id}-alone")), return_exceptions=True)
        if result is not None:
            wrong.append(f"{name}: {result!r}")
    assert not wrong, "\n".join(wrong)


async def ran_out_of_time(shop: Shop, order_id: OrderId) -> bool:
    """Whether the order came to the deadline's reserve, and the auditor has nothing against it but that."""
    await shop.end(shop.handle(order_id))
    summary = await shop.reader.summary(order_id)
    slow = summary is None or summary["duration_seconds"] > Deadline().forward_seconds
    return slow and {finding.kind for finding in await shop.findings(order_id)} <= {FindingKind.PAST_DEADLINE}


@pytest.mark.parametrize("step", FORWARD_STEPS)
async def test_a_message_during_each_kind_of_fault(shop: Shop, order_id: OrderId, step: Step) -> None:
    """24 orders a test, 144 in all."""

    async def case(fault: str, message: str, own_id: OrderId) -> None:
        await check(shop, own_id, await play(shop, own_id, step, [fault, "slow(100)"], message))

    pairs = list(itertools.product(FAULTS, MESSAGES))
    await at_once(shop, order_id, {f"{f} + {m}": partial(case, f, m) for f, m in pairs})


@on_oldest
@pytest.mark.parametrize("step", [Step.CHARGE])
async def test_a_message_during_each_kind_of_fault_on_the_oldest_postgresql(
    shop: Shop, order_id: OrderId, step: Step
) -> None:
    """24 orders, at the step where the money is."""
    await test_a_message_during_each_kind_of_fault(shop, order_id, step)


@on_newest_and_oldest
async def test_a_passing_fault_is_survived(shop: Shop, order_id: OrderId) -> None:
    """30 orders."""

    async def case(step: Step, fault: str, own_id: OrderId) -> None:
        assert await play(shop, own_id, step, [fault], None) == "shipped"
        await check(shop, own_id, "shipped")

    pairs = list(itertools.product(FORWARD_STEPS, [f for f in FAULTS if f != "decline"]))
    await at_once(shop, order_id, {f"{s} {f}": partial(case, s, f) for s, f in pairs})


LASTING = ("error", "error_after", "hang", "hang_after")


async def test_a_lasting_fault_ends_in_compensation(shop: Shop, order_id: OrderId) -> None:
    """24 orders. Policy spec gives up; what had happened is undone, or the order ships if the carrier has it."""

    async def case(step: Step, fault: str, own_id: OrderId) -> None:
        outcome = await play(shop, own_id, step, [fault] * 30, None, policy=SPEC)
        past_no_return = step is Step.DISPATCH and fault.endswith("_after")
        assert outcome == ("shipped" if past_no_return else "failed")
        await check(shop, own_id, outcome)

    pairs = list(itertools.product(FORWARD_STEPS, LASTING))
    await at_once(shop, order_id, {f"{s} {f}": partial(case, s, f) for s, f in pairs})


@on_newest_and_oldest
async def test_compensation_is_retried_until_it_succeeds(shop: Shop, order_id: OrderId) -> None:
    """16 orders, cancelled while the carrier never answers."""

    async def case(step: Step, fault: str, own_id: OrderId) -> None:
        script: dict[str, list[str]] = {Step.DISPATCH: ["hang"] * 100, step: [fault, fault]}
        handle = await shop.start(own_id, policy=ROOMY, faults=FaultPlan(script=script))
        await shop.step_reached(own_id, Step.DISPATCH)
        await handle.signal("cancel_order", CancelOrder("changed my mind", "ann"))
        assert await shop.end(handle) == "cancelled"
        await check(shop, own_id, "cancelled")
        assert [a[2] for a in await shop.attempts(own_id) if a[0] == step][-1] == "completed"

    pairs = list(itertools.product(COMPENSATIONS, LASTING))
    await at_once(shop, order_id, {f"{s} {f}": partial(case, s, f) for s, f in pairs})


async def test_compensation_goes_on_with_a_longer_limit(shop: Shop, order_id: OrderId) -> None:
    """The last attempt with the short limit hangs: a timeout leads on as well as an error."""
    errors, per_limit = 22, UNTIL_DONE.attempts_per_limit
    faults = ["error"] * (per_limit - 1) + ["hang"] + ["error"] * (errors - per_limit)
    handle = await shop.start(order_id, faults=FaultPlan(script={Step.DISPATCH: ["hang"] * 100, Step.REFUND: faults}))
    await shop.step_reached(order_id, Step.DISPATCH)
    await handle.signal("cancel_order", CancelOrder("changed my mind", "ann"))
    await check(shop, order_id, await shop.end(handle))
    refunds = [(number, outcome) for step, number, outcome in await shop.attempts(order_id) if step == Step.REFUND]
    assert [number for number, _ in refunds] == list(range(1, len(refunds) + 1))
    assert refunds[per_limit - 1 : errors] == [(20, "timed_out"), (21, "failed"), (22, "failed")]
    assert refunds[-1][1] == "completed"
    limits = [
        event.activity_task_scheduled_event_attributes.start_to_close_timeout.ToMilliseconds()
        async for event in handle.fetch_history_events()
        if event.activity_task_scheduled_event_attributes.activity_type.name == "refund_payment_activity"
    ]
    assert limits == [200, 400]


@pytest.mark.parametrize("step", [Step.STOP, Step.RECALL, Step.REFUND, Step.CLOSE])
async def test_compensation_is_not_interrupted_by_a_native_cancel(shop: Shop, order_id: OrderId, step: Step) -> None:
    """It comes while the compensation of an earlier cancel hangs."""
    plan = FaultPlan(script={Step.DISPATCH: ["hang"] * 100, step: ["hang"]})
    handle = await shop.start(order_id, policy=ROOMY, faults=plan)
    await shop.step_reached(order_id, Step.DISPATCH)
    await handle.signal("cancel_order", CancelOrder("changed my mind", "ann"))
    await shop.step_reached(order_id, step)
    await handle.cancel()
    await check(shop, order_id, await shop.end(handle))
    assert (Step.REFUND, 1) in {(done, number) for done, number, _ in await shop.attempts(order_id)}


async def test_after_dispatch_an_order_ships_whatever_comes(shop: Shop, order_id: OrderId) -> None:
    """16 orders."""

    async def case(fault: str, message: str, own_id: OrderId) -> None:
        assert await play(shop, own_id, Step.SHIP, [fault, fault], message) == "shipped"
        await check(shop, own_id, "shipped")

    pairs = list(itertools.product(LASTING, MESSAGES))
    await at_once(shop, order_id, {f"{f} + {m}": partial(case, f, m) for f, m in pairs})


async def test_a_declined_card_rejects_and_is_not_retried(shop: Shop, order_id: OrderId) -> None:
    assert await play(shop, order_id, Step.CHARGE, ["decline"], None, policy=SPEC) == "rejected"
    assert [a for a in await shop.attempts(order_id) if a[0] == "charge"] == [("charge", 1, "failed")]
    await check(shop, order_id, "rejected")


async def test_a_failed_dispatch_starts_shipping_again_with_the_attempts_counted_on(
    shop: Shop, order_id: OrderId
) -> None:
    outcome = await play(shop, order_id, Step.DISPATCH, ["decline", "decline", "error"], None, policy=SPEC)
    assert outcome == "shipped"
    attempts = [
        (a["attempt"], a["workflow_id"]) for a in await shop.reader.attempts(order_id) if a["step"] == "dispatch"
    ]
    assert attempts == [
        (1, f"shipping-{order_id}"),
        (2, f"shipping-{order_id}:2"),
        (3, f"shipping-{order_id}:3"),
        (4, f"shipping-{order_id}:3"),
    ]
    await check(shop, order_id, "shipped")
    last_run = shop.client.get_workflow_handle(f"shipping-{order_id}:3")
    waits = {
        event.activity_task_scheduled_event_attributes.retry_policy.initial_interval.seconds
        async for event in last_run.fetch_history_events()
        if event.HasField("activity_task_scheduled_event_attributes")
    }
    assert waits == {1}  # from the beginning, as the policy says
