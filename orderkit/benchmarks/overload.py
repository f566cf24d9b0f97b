"""More orders at once than the machine can do: do they ship, and how many attempts does the crowd cost?"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from orderkit.client import OrderkitClient
from orderkit.contract import StartOrder
from orderkit.core.orders import OrderState, Review
from orderkit.core.policies import PolicyName
from orderkit.store.database import Pool
from orderkit.store.measurements import attempt_ends, order_ends

_CALLERS = 40


@dataclass(frozen=True)
class Overload:
    """So many calm orders at once, one half under each policy, started through the API by 40 callers."""

    orders: int
    shipped: int
    late_attempts: int  # that no fault was planned for
    attempts: int
    seconds: float  # from the first start to the last end

    @property
    def per_second(self) -> float:
        """Shipped orders a second."""
        return self.shipped / self.seconds


async def measure(
    api: OrderkitClient, pool: Pool, orders: int, deadline_seconds: float, tell: Callable[[int], None] = lambda _: None
) -> Overload:
    """Start them, and wait until all have ended, or their deadline is over; calls `tell` with how many have ended."""
    prefix = f"crowd-{uuid.uuid4().hex[:6]}-"
    names = [f"{prefix}{number}" for number in range(orders)]
    gate = asyncio.Semaphore(_CALLERS)

    async def start(number: int, name: str) -> None:
        policy = (PolicyName.SPEC, PolicyName.BUDGET)[number % 2]
        async with gate:
            await api.start(name, StartOrder(policy=policy, review=Review.NONE, deadline=deadline_seconds))

    began = time.monotonic()
    await asyncio.gather(*(start(number, name) for number, name in enumerate(names)))
    while time.monotonic() - began < deadline_seconds + 30:
        ends = [end for end in await order_ends(pool, names) if end.seconds is not None]
        tell(len(ends))
        if len(ends) == orders:
            break
        await asyncio.sleep(0.5)
    seconds = time.monotonic() - began
    outcomes = await attempt_ends(pool, names)
    shipped = sum(end.state is OrderState.SHIPPED for end in ends)
    return Overload(orders, shipped, outcomes.get("timed_out", 0), sum(outcomes.values()), seconds)
