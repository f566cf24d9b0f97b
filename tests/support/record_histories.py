"""Records the histories that test_replay.py replays: `make histories`, when there is a new case.

A recorded history stays: orders that run under it may still be open somewhere. Cases named on the command line are
recorded again, for a change that breaks running orders on purpose.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from support.shop import Handle, Shop, until

from orderkit.core.faults import parse_plan
from orderkit.core.messages import CancelOrder, ReviewDecision, UpdateAddress
from orderkit.core.orders import DEFAULT_ADDRESS, Item, OrderId, Review, shipping_workflow_id
from orderkit.core.policies import BUDGET
from orderkit.stack.lifecycle import down, up
from orderkit.store.database import open_pool
from orderkit.store.migrations import migrate
from orderkit.temporal.client import connect_temporal
from orderkit.worker.process import make_workers

FOLDER = Path(__file__).parents[1] / "workflows" / "histories"


async def _open_review(shop: Shop, order_id: OrderId) -> Handle:
    handle = await shop.start(order_id, review=Review.HUMAN, deadline_seconds=60)

    async def open_() -> bool:
        return await shop.state(order_id) == "in_review"

    await until(open_, "the review is open")
    return handle


async def shipped(shop: Shop, order_id: OrderId) -> Handle:
    return await shop.start(order_id, review=Review.AUTO, review_seconds=0.1)


async def retried(shop: Shop, order_id: OrderId) -> Handle:
    return await shop.start(order_id, policy=BUDGET, faults=parse_plan("charge=error,error_after; prepare=hang"))


async def approved_elsewhere(shop: Shop, order_id: OrderId) -> Handle:
    handle = await _open_review(shop, order_id)
    new = UpdateAddress(replace(DEFAULT_ADDRESS, street="2 Side Street"), "ann")
    await handle.signal("update_address", new)
    await handle.execute_update("address", new)
    await handle.signal("approve_order", ReviewDecision("vera", "fine"))
    return handle


async def rejected_by_reviewer(shop: Shop, order_id: OrderId) -> Handle:
    handle = await _open_review(shop, order_id)
    await handle.signal("reject_order", ReviewDecision("vera", "fraud"))
    return handle


async def cancelled_while_charging(shop: Shop, order_id: OrderId) -> Handle:
    handle = await shop.start(order_id, policy=BUDGET, faults=parse_plan("charge=hang_after,hang"))
    await shop.step_reached(order_id, "charge")
    await handle.execute_update("cancel", CancelOrder("changed my mind", "ann"))
    return handle


async def cancelled_too_late(shop: Shop, order_id: OrderId) -> Handle:
    handle = await shop.start(order_id, faults=parse_plan("dispatch=hang_after"))

    async def dispatched() -> bool:
        return await shop.state(order_id) == "dispatched"

    await until(dispatched, "dispatched")
    await handle.signal("cancel_order", CancelOrder("now", "ann"))
    return handle


async def cancelled_natively(shop: Shop, order_id: OrderId) -> Handle:
    handle = await _open_review(shop, order_id)
    await handle.cancel()
    return handle


async def declined(shop: Shop, order_id: OrderId) -> Handle:
    return await shop.start(order_id, faults=parse_plan("charge=decline"))


async def invalid(shop: Shop, order_id: OrderId) -> Handle:
    return await shop.start(order_id, items=[Item("x", 0)])


async def shipped_again(shop: Shop, order_id: OrderId) -> Handle:
    return await shop.start(order_id, policy=BUDGET, faults=parse_plan("dispatch=decline,error"))


async def out_of_time(shop: Shop, order_id: OrderId) -> Handle:
    plan = parse_plan("prepare=" + ",".join(["error"] * 60))
    return await shop.start(order_id, policy=BUDGET, deadline_seconds=2, faults=plan)


async def refused_messages(shop: Shop, order_id: OrderId) -> Handle:
    handle = await _open_review(shop, order_id)
    await handle.signal("approve_order")
    await handle.signal("approve_ordre", ReviewDecision("vera", "fine"))
    await handle.signal("update_address", args=[1, 2])
    await handle.signal("approve_order", ReviewDecision("vera", "fine"))
    return handle


async def completed_by_hand(shop: Shop, order_id: OrderId) -> Handle:
    handle = await shop.start(order_id, policy=BUDGET, faults=parse_plan("dispatch=hang,ok"))
    await shop.step_reached(order_id, "dispatch")
    shipping = shop.client.get_workflow_handle(shipping_workflow_id(order_id))
    [pending] = (await shipping.describe()).raw_description.pending_activities
    by_hand = shop.client.get_async_activity_handle(
        workflow_id=shipping.id, run_id=None, activity_id=pending.activity_id
    )
    await by_hand.complete("done by hand")
    return handle


async def nobody_reviewed(shop: Shop, order_id: OrderId) -> Handle:
    return await shop.start(order_id, review=Review.HUMAN, deadline_seconds=2)


CASES: tuple[Callable[[Shop, OrderId], Awaitable[Handle]], ...] = (
    shipped,
    retried,
    approved_elsewhere,
    rejected_by_reviewer,
    cancelled_while_charging,
    cancelled_too_late,
    cancelled_natively,
    declined,
    invalid,
    shipped_again,
    out_of_time,
    nobody_reviewed,
    refused_messages,
    completed_by_hand,
)


def _portable(history: str) -> str:
    """The history without what tells of the machine that recorded it: paths in stack traces, host names."""

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: clean(item) for key, item in value.items() if key != "stackTrace"}
        return [clean(item) for item in value] if isinstance(value, list) else value

    return json.dumps(clean(json.loads(history)), indent=1).replace(f"@{socket.gethostname()}", "@host") + "\n"


async def record(shop: Shop, anew: list[str]) -> None:
    FOLDER.mkdir(exist_ok=True)
    for case in CASES:
        name = case.__name__
        if (FOLDER / f"order-{name}.json").exists() and name not in anew:
            continue
        order_id = OrderId(name)
        outcome = await shop.end(await case(shop, order_id))
        workflow_ids = {"order": f"order-{name}", "shipping": shipping_workflow_id(name)}
        for kind, workflow_id in workflow_ids.items():
            try:
                history = await shop.client.get_workflow_handle(workflow_id).fetch_history()
            except Exception:
                continue  # an order that never came to shipping
            (FOLDER / f"{kind}-{name}.json").write_text(_portable(history.to_json()))
        sys.stdout.write(f"{name}: {outcome}\n")


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / ".orderkit"
        stack = await asyncio.to_thread(up, home, programs=("postgres", "temporal"), migrate=migrate)
        try:
            client = await connect_temporal(stack.temporal_settings())
            async with open_pool(stack.database_url) as pool:
                one, other = make_workers(client, pool, ("order-tq", "shipping-tq"), 100)
                async with one, other:
                    await record(Shop(client, pool), sys.argv[1:])
        finally:
            await asyncio.to_thread(down, home)


if __name__ == "__main__":
    asyncio.run(main())
