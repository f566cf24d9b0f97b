"""What trellis_events says of the attempts is what Temporal's history says."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from support.shop import ROOMY, Shop

from orderkit.audit.collect import read_history
from orderkit.core.faults import FaultPlan, Scenario
from orderkit.core.orders import OrderId, Review, order_workflow_id

ORDERS = 100
AT_ONCE = 16  # what two cores carry without queueing, while another process runs notebooks


async def test_events_equal_history_for_100_orders_under_workshop(shop: Shop, order_id: OrderId) -> None:
    plan = FaultPlan(Scenario.WORKSHOP, seed=5)
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(own_id: OrderId) -> None:
        async with gate:
            handle = await shop.start(own_id, policy=ROOMY, review=Review.NONE, faults=plan, deadline_seconds=60)
            assert await shop.end(handle, 90) == "shipped"

    order_ids = [OrderId(f"{order_id}-{number}") for number in range(ORDERS)]
    await asyncio.gather(*(one(own_id) for own_id in order_ids))

    retried = 0
    for own_id in order_ids:
        history = await read_history(shop.client, order_workflow_id(own_id))
        assert history is not None
        seen: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
        for row in await shop.reader.attempts(own_id):
            seen[(row["run_id"], row["activity_id"])].append((row["attempt"], row["outcome"]))
        expected = {(a.run_id, a.activity_id): (a.attempts, a.outcome) for a in history.activities}
        # The same activities, each with as many attempts, in order, without a gap, and with the same last outcome.
        assert seen.keys() == expected.keys()
        for key, attempts in seen.items():
            count, outcome = expected[key]
            assert [number for number, _ in attempts] == list(range(1, count + 1))
            assert attempts[-1][1] == outcome
            assert all(earlier != "completed" for _, earlier in attempts[:-1])
            retried += count > 1
    assert retried > ORDERS / 4, "workshop makes a good part of the orders retry"
    assert await shop.findings(*order_ids) == []
