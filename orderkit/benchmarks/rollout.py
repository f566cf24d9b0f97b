"""Blue/green under load: orders in flight while new ones are ramped to another build, promoted, and rolled back."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from temporalio.client import Client, WorkflowFailureError
from temporalio.service import RPCError

from orderkit.audit.audit import audit
from orderkit.audit.rules import Finding
from orderkit.core.builds import UNVERSIONED
from orderkit.core.faults import FaultPlan
from orderkit.core.messages import ReviewDecision
from orderkit.core.orders import OrderId, OrderInput, Review, order_workflow_id
from orderkit.errors import DependencyUnavailable
from orderkit.store.database import Pool
from orderkit.store.events import Reader
from orderkit.temporal import orders as in_temporal
from orderkit.temporal.deployments import Deployment
from orderkit.worker.builds import build_in

_DEADLINE_SECONDS = 900.0
_LOOK_SECONDS = 0.1
_AT_ONCE = 20
T = TypeVar("T")
APPROVAL = ReviewDecision("the rollout")


@dataclass
class Rollout:
    """How the orders ended. `began`: by phase, how many began on which build."""

    orders: int
    began: dict[str, dict[str, int]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)  # what each change of the deployment took
    outcomes: dict[str, int] = field(default_factory=dict)
    strayed: list[str] = field(default_factory=list)  # made attempts on another build than the one they began on
    findings: list[Finding] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Every order shipped, each on the build on which it began, and the auditor finds nothing."""
        return self.outcomes == {"shipped": self.orders} and not self.strayed and not self.findings


async def roll_out(
    client: Client,
    pool: Pool,
    deployment: Deployment,
    builds: tuple[str, str],
    orders: int,
    name: str,
    within_seconds: float = 300,
) -> Rollout:
    """A quarter of the orders begins in each phase, and all of them end after the last one.

    Both builds need workers on both queues. In the end new orders go to the workers without a build id again.
    """
    blue, green = builds
    found = Rollout(orders)
    ids: list[OrderId] = []

    async def phase(title: str, change: Callable[[], Awaitable[object]], count: int) -> None:
        began = time.monotonic()
        await change()
        found.seconds[title] = round(time.monotonic() - began, 2)
        new = [OrderId(f"{name}-{len(ids) + number}") for number in range(count)]
        ids.extend(new)
        await _limited(new, lambda order_id: _patiently(lambda: in_temporal.start(client, _order(order_id))))
        await _limited(new, lambda order_id: _begun(pool, order_id))
        found.began[title] = dict(Counter([await _first_build(pool, order_id) for order_id in new]))

    quarter = orders // 4
    async with asyncio.timeout(within_seconds):
        try:
            await phase(f"{blue} is current", lambda: deployment.promote(blue), quarter)
            await phase(f"{green} is ramped to 50 %", lambda: deployment.ramp(green, 50), quarter)
            await phase(f"{green} is promoted", lambda: deployment.promote(green), quarter)
            await phase("rolled back", deployment.roll_back, orders - 3 * quarter)
            await _limited(ids, lambda order_id: _patiently(lambda: _approve(client, order_id)))
            found.outcomes = dict(Counter(await _limited(ids, lambda order_id: _end(client, order_id))))
        except BaseException:
            # Their builds are about to lose their workers; the reconcile schedule settles what is terminated.
            await _limited(ids, lambda order_id: _terminate(client, order_id))
            raise
        finally:
            await deployment.unset()
    found.strayed = [order_id for order_id in ids if len(await _builds(pool, order_id)) != 1]
    found.findings = (await audit(pool, client, ids)).findings
    return found


def _order(order_id: OrderId) -> OrderInput:
    """It waits for a person in its review, so that every order is in flight when the builds change."""
    return OrderInput(order_id, review=Review.HUMAN, deadline_seconds=_DEADLINE_SECONDS, faults=FaultPlan())


async def _limited(ids: list[OrderId], work: Callable[[OrderId], Awaitable[T]]) -> list[T]:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(order_id: OrderId) -> T:
        async with gate:
            return await work(order_id)

    return await asyncio.gather(*(one(order_id) for order_id in ids))


async def _approve(client: Client, order_id: OrderId) -> None:
    await in_temporal.signal(client, order_id, "approve_order", APPROVAL)


async def _patiently(call: Callable[[], Awaitable[object]]) -> None:
    """Until the server has time for it; both calls do no harm when they are repeated."""
    while True:
        try:
            await call()
            return
        except DependencyUnavailable:
            await asyncio.sleep(_LOOK_SECONDS)


async def _begun(pool: Pool, order_id: OrderId) -> None:
    while not await Reader(pool).attempts(order_id):  # noqa: ASYNC110 - it begins in another process
        await asyncio.sleep(_LOOK_SECONDS)


async def _first_build(pool: Pool, order_id: OrderId) -> str:
    return build_in((await Reader(pool).attempts(order_id))[0]["worker"]) or UNVERSIONED


async def _builds(pool: Pool, order_id: OrderId) -> set[str]:
    return {build_in(attempt["worker"]) for attempt in await Reader(pool).attempts(order_id)}


async def _terminate(client: Client, order_id: OrderId) -> None:
    with suppress(RPCError):  # it has ended, or never began
        await client.get_workflow_handle(order_workflow_id(order_id)).terminate(reason="the rollout was given up")


async def _end(client: Client, order_id: OrderId) -> str:
    try:
        result = await client.get_workflow_handle(order_workflow_id(order_id)).result()
    except (WorkflowFailureError, RPCError) as error:
        return f"{type(error).__name__}: {error.__cause__ or error}"
    return str(result["outcome"])
