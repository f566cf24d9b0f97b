"""Worker Versioning: two builds side by side on one server, orders ramped, promoted, rolled back and moved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import pytest_asyncio
from support.shop import Handle, Shop, until
from temporalio.client import Client

from orderkit.benchmarks.rollout import roll_out
from orderkit.client import OrderkitClient
from orderkit.core.builds import UNVERSIONED
from orderkit.core.messages import ReviewDecision
from orderkit.core.orders import OrderId, Review
from orderkit.doctor.doctor import check_builds
from orderkit.errors import DeploymentRefused, OrderNotFound
from orderkit.lab.evidence import explain
from orderkit.store.database import Pool
from orderkit.temporal.deployments import Deployment, build_of
from orderkit.worker.builds import build_in
from orderkit.worker.process import make_workers
from orderkit.worker.reconcile import reconcile_now

QUEUES = ("order-tq", "shipping-tq")
YES = ReviewDecision("vera")


@asynccontextmanager
async def build(client: Client, pool: Pool, deployment: Deployment, build_id: str) -> AsyncIterator[None]:
    """Workers of a build on both queues, in this process."""
    async with AsyncExitStack() as stack:
        for worker in make_workers(client, pool, QUEUES, build_id=build_id, deployment=deployment.name):
            await stack.enter_async_context(worker)

        async def served() -> bool:
            return any(each.build_id == build_id and len(each.workers) == 2 for each in await deployment.status())

        await until(served, f"build {build_id} serves both queues")
        yield


@pytest_asyncio.fixture
async def deployment(shop: Shop) -> AsyncIterator[Deployment]:
    """The deployment `orderkit`, beside the workers without a build id, which get new orders again afterwards."""
    found = Deployment(shop.client)
    yield found
    await found.unset()


async def open_review(shop: Shop, order_id: OrderId) -> Handle:
    handle = await shop.start(order_id, review=Review.HUMAN, deadline_seconds=120)
    await until_in(shop, order_id)
    return handle


async def until_in(shop: Shop, order_id: OrderId) -> None:
    async def opened() -> bool:
        return await shop.state(order_id) == "in_review"

    await until(opened, f"{order_id} is in review")


async def connected(shop: Shop) -> Client:
    return shop.client


async def builds(shop: Shop, order_id: OrderId) -> list[str]:
    """Which builds made the order's attempts, each once, in the order of their first one."""
    return list(dict.fromkeys(build_in(each["worker"]) for each in await shop.reader.attempts(order_id)))


async def refusal(call: object) -> str:
    with pytest.raises(DeploymentRefused) as refused:
        await call  # type: ignore[misc]
    return str(refused.value)


@pytest.mark.timeout(180)
async def test_builds_from_the_first_worker_to_the_last_order(
    shop: Shop, deployment: Deployment, orderkit: OrderkitClient, order_id: OrderId
) -> None:
    """One test, since each step goes on where the one before has ended."""
    shares = {each.build_id: each.share for each in await deployment.status()}
    assert shares.get(UNVERSIONED, 100) == 100

    old = await open_review(shop, OrderId(f"{order_id}-old"))  # from before there were builds
    async with build(shop.client, shop.pool, deployment, "blue"):
        assert await refusal(deployment.promote("nope")) == (
            "deployment orderkit has no build nope; it knows blue. "
            "Start its worker first: orderkit worker --build-id nope"
        )
        assert "is no build id" in await refusal(deployment.promote("a:b"))
        assert await refusal(deployment.ramp("blue", 101)) == "a ramp is 0 to 100 percent, not 101"
        assert "nothing to roll back" in await refusal(deployment.roll_back())

        await deployment.promote("blue")
        pinned = await open_review(shop, order_id)
        assert build_of(await pinned.describe()) == "blue"
        await reconcile_now(shop.client)  # it runs on builds, too

        async with build(shop.client, shop.pool, deployment, "green"):
            found = await roll_out(shop.client, shop.pool, deployment, ("blue", "green"), 20, f"{order_id}-load")
            assert found.passed, found
            began = list(found.began.values())
            assert [began[0], began[2], began[3]] == [{"blue": 5}, {"green": 5}, {"blue": 5}]
            assert sum(began[1].values()) == 5

            # After all that, the pinned one is where it was, and goes where it is moved.
            assert build_of(await pinned.describe()) == "blue"
            with pytest.raises(OrderNotFound, match="no running workflow order-nobodys"):
                await deployment.move("order-nobodys", "green")
            assert await deployment.move(pinned.id, "green") == [pinned.id]
            await pinned.signal("approve_order", YES)
            assert await shop.end(pinned) == "shipped"
            assert await builds(shop, order_id) == ["blue", "green"]

            # One without a build id goes along with the first promotion, and stays there.
            await old.signal("approve_order", YES)
            assert await shop.end(old) == "shipped"
            assert (await builds(shop, OrderId(f"{order_id}-old")))[0] == ""
        assert await refusal(deployment.promote("green")) == (
            "no worker of build green runs; start one: orderkit worker --build-id green"
        )
        assert (await check_builds(shop.client)).ok

        await deployment.promote("blue")
        waiting = await open_review(shop, OrderId(f"{order_id}-waiting"))
    check = await check_builds(shop.client)
    assert (check.ok, check.detail) == (False, "orders wait for blue: no worker of it runs")
    told = await explain(f"{order_id}-waiting", orderkit, lambda: connected(shop))
    assert "no worker of build blue runs; start one: orderkit worker --build-id blue, or: orderkit deploy" in told
    await waiting.terminate()
    await deployment.unset()
    assert await shop.findings(order_id, OrderId(f"{order_id}-old")) == []

    # Without any build's worker everything is as before.
    last = await shop.start(OrderId(f"{order_id}-last"))
    assert await shop.end(last) == "shipped"
    assert await builds(shop, OrderId(f"{order_id}-last")) == [""]
