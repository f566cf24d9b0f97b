"""`orderkit bench orders`, `growth` and `overload`: both sides really run, and what is counted is in the tables."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from support.shop import Shop, until

from orderkit.benchmarks import growth, orders, overload
from orderkit.benchmarks.bare import running_bare_worker
from orderkit.client import OrderkitClient
from orderkit.stack.environment import inherited_environment
from orderkit.stack.stack import Stack


@asynccontextmanager
async def beside_bare(servers: Stack) -> AsyncIterator[dict[str, orders.Pids]]:
    """The processes of both sides; our own process is the worker of orders."""
    temporal = servers.pid("temporal")
    assert temporal is not None
    async with running_bare_worker(inherited_environment() | servers.environment()) as bare:
        yield {
            "orderkit": {"server": [temporal], "worker": [os.getpid()]},
            "bare": {"server": [temporal], "worker": [bare]},
        }


async def test_orders_are_measured_beside_bare_workflows(shop: Shop, servers: Stack) -> None:
    async with beside_bare(servers) as pids:
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


async def test_growth_has_a_line_for_each_crowd_and_each_number_of_signals(shop: Shop, servers: Stack) -> None:
    async with beside_bare(servers) as pids:
        found = await growth.measure_growth(shop.client, pids, crowds=[2, 4], signals=[1, 12])
    assert [each.cost.at_once for each in found.crowds] == [2, 4]
    for crowd in found.crowds:
        assert set(crowd.memory_mb) == {"server", "worker", "bare worker"} and min(crowd.memory_mb.values()) > 20
    one, twelve = found.signals
    assert (one.signals, twelve.signals) == (1, 12)
    assert twelve.history_events >= one.history_events + 11 and twelve.history_kib > one.history_kib
    changes = await shop.pool.fetch(
        "select count(*) filter (where type = 'address_changed') as changed"
        " from trellis_events where order_id like 'bench-signals-%'"
    )
    assert changes[0]["changed"] >= 20  # ten orders, twice, and each order's last change at the least


async def test_a_crowd_is_counted(orderkit: OrderkitClient, shop: Shop) -> None:
    found = await overload.measure(orderkit, shop.pool, 6, 60)
    assert (found.orders, found.shipped) == (6, 6)
    assert found.attempts >= 36 + found.late_attempts  # six an order, one more for each late one, and reconcile's
    assert found.per_second > 0
