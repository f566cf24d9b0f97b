"""Many orders at once: start them as fast as they end, and hear of each end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress

from temporalio.client import Client, WorkflowFailureError

from orderkit.connect import TASK_TIMEOUT
from orderkit.core.orders import OrderInput, order_workflow_id
from orderkit.core.steps import ORDER_QUEUE


async def run_orders(
    client: Client,
    orders: Iterable[OrderInput],
    at_once: int,
    progress: Callable[[int], None] = lambda done: None,
) -> list[str]:
    """Run all orders, at most `at_once` at a time; returns their ids. How each ended is in the database."""
    gate = asyncio.Semaphore(at_once)
    done = 0

    async def run(order: OrderInput) -> str:
        nonlocal done
        async with gate:
            handle = await client.start_workflow(
                "OrderWorkflow",
                order,
                id=order_workflow_id(order.order_id),
                task_queue=ORDER_QUEUE,
                task_timeout=TASK_TIMEOUT,
            )
            with suppress(WorkflowFailureError):  # a failed order is an end like the others
                await handle.result()
        done += 1
        progress(done)
        return order.order_id

    return list(await asyncio.gather(*(run(order) for order in orders)))
