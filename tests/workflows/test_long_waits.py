"""Waits of hours, on a server that skips time. Only waits: cancel races are tested on the ordinary server."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest_asyncio
from support.shop import Shop
from temporalio.testing import WorkflowEnvironment

from orderkit.core.messages import OrderResult
from orderkit.core.orders import OrderId, OrderState, Review
from orderkit.store.database import Pool
from orderkit.worker.process import make_workers

HOUR = 3600.0


@pytest_asyncio.fixture(scope="module")
async def skipping(pool: Pool) -> AsyncIterator[Shop]:
    server = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))
    async with await WorkflowEnvironment.start_time_skipping(test_server_existing_path=server) as environment:
        one, other = make_workers(environment.client, pool, ("order-tq", "shipping-tq"), slots=20)
        async with one, other:
            yield Shop(environment.client, pool)


async def _waited(shop: Shop, order_id: OrderId) -> timedelta:
    """How long the order lived by the server's own clock."""
    description = await shop.client.get_workflow_handle(f"order-{order_id}").describe()
    assert description.close_time is not None
    return description.close_time - description.start_time


async def test_nobody_reviews_for_a_day(skipping: Shop, order_id: OrderId) -> None:
    handle = await skipping.start(order_id, review=Review.HUMAN, deadline_seconds=24 * HOUR)
    result: OrderResult = await handle.result()
    assert (result.outcome, result.reason) == ("cancelled", "nobody reviewed the order in time")
    assert await skipping.state(order_id) is OrderState.CANCELLED
    assert timedelta(hours=23.99) < await _waited(skipping, order_id) < timedelta(hours=24)


async def test_the_review_timer_approves_after_an_hour(skipping: Shop, order_id: OrderId) -> None:
    handle = await skipping.start(order_id, review=Review.AUTO, review_seconds=HOUR, deadline_seconds=2 * HOUR)
    assert (await handle.result()).outcome == "shipped"
    assert timedelta(hours=1) < await _waited(skipping, order_id) < timedelta(hours=1.1)
