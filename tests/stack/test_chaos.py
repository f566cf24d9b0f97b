"""Kills and pauses in the middle of orders: the auditor finds nothing; the same seed gives the same plan."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.shop import Shop, until
from temporalio.client import Client

from orderkit.audit.audit import audit
from orderkit.audit.rules import FindingKind
from orderkit.chaos.by_hand import do
from orderkit.chaos.plan import TARGETS, Blow, ChaosPlan, Deed, OrderPlan, Saying, make_plan
from orderkit.chaos.run import run_chaos
from orderkit.client import OrderkitClient
from orderkit.contract import StartOrder
from orderkit.core.faults import FaultPlan, Scenario
from orderkit.core.orders import ENDS, OrderId
from orderkit.core.policies import BUDGET, PolicyName
from orderkit.core.steps import Step
from orderkit.errors import DependencyUnavailable, OrderConflict
from orderkit.stack.lifecycle import down, up
from orderkit.stack.stack import Stack
from orderkit.store.database import open_pool
from orderkit.temporal.client import connect_temporal
from orderkit.worker.reconcile import reconcile_now


@given(st.integers(0, 10_000))
def test_the_same_seed_gives_the_same_plan(seed: int) -> None:
    plan = make_plan(seed)
    assert plan == make_plan(seed)
    assert len(plan.orders) == 40
    kills = [blow.target for blow in plan.blows if blow.blow is Blow.KILL]
    assert sorted(kills) == sorted(TARGETS * 2)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("chaos") / ".orderkit"
    try:
        yield up(home)
    finally:
        down(home)


async def test_a_short_chaos_run_passes_the_audit(stack: Stack) -> None:
    report = await run_chaos(stack, make_plan(11, orders=15, kills=4, pauses=1, seconds=8), within_seconds=90)
    assert report.lost == []
    assert report.left_open == []
    assert report.findings == []
    assert sum(report.ends.values()) == 15


async def test_an_id_that_was_taken_by_hand_first_is_an_order_like_the_others(stack: Stack) -> None:
    order = OrderPlan(OrderId("chaos-taken"), 2.0, 1, ((0.1, Saying.DUPLICATE),), ((-2.0, Deed.START),))
    report = await run_chaos(stack, ChaosPlan(1, 3.0, Scenario.CALM, (order,), ()), within_seconds=60)
    assert report.said["start: the id was taken by hand"] == 1
    assert report.passed
    with pytest.raises(OrderConflict):
        await run_chaos(stack, ChaosPlan(1, 0.0, Scenario.CALM, (replace(order, deeds=()),), ()), within_seconds=60)


@pytest.mark.timeout(240)  # the orders' deadline is 90 s, and a busy machine may need most of it
async def test_postgresql_away_for_ten_seconds(stack: Stack) -> None:
    """20 orders in the middle of their way: all are decided correctly afterwards."""
    order_ids = [f"pg-{number}" for number in range(20)]
    body = StartOrder(policy=PolicyName.BUDGET, review_seconds=1, deadline=90)
    async with OrderkitClient(stack.api_url) as client:
        await asyncio.gather(*(client.start(order_id, body) for order_id in order_ids))
        await asyncio.to_thread(stack.kill, "postgres", restart=False)
        await asyncio.sleep(10)  # the time that PostgreSQL is away is what is tested
        stack.start_program("postgres")

        async def all_ended() -> bool:
            try:
                page = await client.list(prefix="pg-")
            except DependencyUnavailable:
                return False
            return len(page.orders) == 20 and all(order.state in ENDS for order in page.orders)

        await until(all_ended, "all orders have ended", body.deadline + 20)
    async with open_pool(stack.database_url) as pool:
        report = await audit(pool, await connect_temporal(stack.temporal_settings()), order_ids)
    assert (report.orders, report.findings) == (20, [])


@pytest.mark.parametrize("deed", list(Deed))
async def test_each_deed_by_hand_leaves_the_money_right(
    shop: Shop, client: Client, order_id: OrderId, deed: Deed
) -> None:
    plan = FaultPlan(script={Step.DISPATCH.value: ["hang", "ok"]})
    await shop.start(order_id, policy=BUDGET, deadline_seconds=8, faults=plan)
    await shop.step_reached(order_id, Step.DISPATCH)
    assert await do(client, deed, order_id) in ("done", "WorkflowAlreadyStartedError")

    async def ended() -> bool:
        if deed in (Deed.TERMINATE, Deed.DELETE):
            await reconcile_now(client)
        return await shop.state(order_id) in ENDS

    await until(ended, f"{order_id} has ended", 60)
    assert {f.kind for f in await shop.findings(order_id)} <= {FindingKind.PAST_DEADLINE}
