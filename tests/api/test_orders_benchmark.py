"""`orderkit bench orders` and `overload`: both sides really run, and what is counted is what the tables hold."""

from __future__ import annotations

import os

from support.shop import Shop, until

from orderkit.benchmarks import orders, overload
from orderkit.benchmarks.bare import running_bare_worker
from orderkit.client import OrderkitClient
from orderkit.stack.environment import inherited_environment
from orderkit.stack.stack import Stack


async def test_orders_are_measured_beside_bare_workflows(shop: Shop, servers: Stack) -> None:
    temporal = servers.pid("temporal")
    assert temporal is not None
    async with running_bare_worker(inherited_environment() | servers.environment()) as bare:
        pids = {
            "orderkit": {"server": [temporal], "worker": [os.getpid()]},
            "bare": {"server": [temporal], "worker": [bare]},
        }
        found = await orders.measure(shop.client, pids, at_once=5, rounds=2)
    for side in (found.orderkit, found.bare):
        assert side.per_second > 0 and side.latency_ms > 0
        assert set(side.cpu_ms) == {"server", "worker"} and side.cpu_together_ms > 0

    async def all_have_completed() -> bool:
        """Temporal's lists lag behind by a moment."""
        listed = shop.client.list_workflows('WorkflowId STARTS_WITH "bench-" OR WorkflowId STARTS_WITH "order-bench-"')
        states = [workflow.status.name if workflow.status else "" async for workflow in listed]
        return bool(states) and set(states) == {"COMPLETED"}

    await until(all_have_completed, "every workflow of the benchmark has completed")


async def test_a_crowd_is_counted(orderkit: OrderkitClient, shop: Shop) -> None:
    found = await overload.measure(orderkit, shop.pool, 6, 60)
    assert (found.orders, found.shipped) == (6, 6)
    assert found.attempts >= 36 and found.late_attempts < found.attempts
    assert found.per_second > 0
