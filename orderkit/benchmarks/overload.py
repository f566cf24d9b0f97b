"""More orders at once than the machine can do: do they ship, and how many attempts does the crowd cost?"""

from __future__ import annotations

import asyncio
import time
import uuid
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orderkit.client import OrderkitClient
from orderkit.contract import FaultsBody, StartOrder
from orderkit.core.orders import OrderState, Review
from orderkit.core.policies import PolicyName
from orderkit.core.steps import Step
from orderkit.store.database import Pool
from orderkit.store.measurements import OrderEnd, attempts_made, order_ends

_CALLERS = 40
_DEADLINE_SECONDS = 600.0
_HANG_SECONDS = 3.0  # the limit of `receive` under the policy spec
_WINDOW_SECONDS = 5.0
_MOMENT_SECONDS = 0.2
CALM = FaultsBody()
HANG_ONCE = FaultsBody(script={Step.RECEIVE: ["hang", "ok"]})


@dataclass(frozen=True)
class Overload:
    """So many calm orders at once, one half under each policy, started through the API by 40 callers."""

    orders: int
    shipped: int
    late_attempts: int  # those that another one followed: no fault was planned, so they had been late
    attempts: int
    seconds: float  # from the first start to the last end

    @property
    def per_second(self) -> float:
        """Shipped orders a second."""
        return self.shipped / self.seconds


@dataclass(frozen=True)
class Recovery:
    """A crowd whose first attempt hangs, with calm orders behind it. Rates are shipped orders a second."""

    hung: int
    shipped: int
    orders: int
    per_second_before: float
    per_second_after: float  # at best, in five seconds after the hangs
    seconds_to_recover: float  # from the end of the hangs to the first five seconds at 0.9 of the rate before


async def measure(
    api: OrderkitClient, pool: Pool, orders: int, deadline_seconds: float, tell: Callable[[int], None] = lambda _: None
) -> Overload:
    """Start them, and wait until all have ended, or their deadline is over; calls `tell` with how many have ended."""
    names, ends, seconds = await _crowd(api, pool, orders, tuple(PolicyName), CALM, deadline_seconds, tell)
    attempts, retries = await attempts_made(pool, names)
    return Overload(orders, _shipped(ends), retries, attempts, seconds)


async def measure_recovery(
    api: OrderkitClient, pool: Pool, hung: int = 300, calm: int = 150, tell: Callable[[str], None] = lambda _: None
) -> Recovery:
    """Calm orders, for the rate; then a crowd that hangs for three seconds, and once more as many calm orders."""
    spec = (PolicyName.SPEC,)
    tell(f"{calm} calm orders")
    _, before, seconds = await _crowd(api, pool, calm, spec, CALM)
    rate = _shipped(before) / seconds
    tell(f"{hung} orders that hang, with {calm} calm ones behind them")
    crowd = asyncio.create_task(_crowd(api, pool, hung, spec, HANG_ONCE))
    await asyncio.sleep(_HANG_SECONDS)
    over = time.time()
    _, after, _ = await _crowd(api, pool, calm, spec, CALM)
    _, hanging, _ = await crowd
    ends = sorted(end.closed_at.timestamp() for end in (*after, *hanging) if end.closed_at)
    best, recovered = recovery(ends, over, 0.9 * rate)
    shipped = _shipped(before) + _shipped(after) + _shipped(hanging)
    return Recovery(hung, shipped, hung + 2 * calm, rate, best, recovered)


def recovery(ends: Sequence[float], over: float, rate: float) -> tuple[float, float]:
    """The best rate of five seconds after `over`, and how long after it the first five begin that reach `rate`.

    `ends` are moments, ascending. Infinite where none reaches it.
    """
    first, best = float("inf"), 0.0
    for begin in (over, *(end for end in ends if end > over)):
        counted = bisect_left(ends, begin + _WINDOW_SECONDS) - bisect_left(ends, begin)
        best = max(best, counted / _WINDOW_SECONDS)
        if counted >= rate * _WINDOW_SECONDS:
            first = min(first, begin - over)
    return best, first


async def _crowd(
    api: OrderkitClient,
    pool: Pool,
    orders: int,
    policies: Sequence[PolicyName],
    faults: FaultsBody,
    deadline_seconds: float = _DEADLINE_SECONDS,
    tell: Callable[[int], None] = lambda _: None,
) -> tuple[list[str], list[OrderEnd], float]:
    """Their names, their ends, and the seconds from the first start to the last end."""
    prefix = f"crowd-{uuid.uuid4().hex[:6]}-"
    names = [f"{prefix}{number}" for number in range(orders)]
    gate = asyncio.Semaphore(_CALLERS)

    async def start(number: int, name: str) -> None:
        policy = policies[number % len(policies)]
        async with gate:
            body = StartOrder(policy=policy, review=Review.NONE, deadline=deadline_seconds, faults=faults)
            await api.start(name, body)

    began = time.monotonic()
    await asyncio.gather(*(start(number, name) for number, name in enumerate(names)))
    ends: list[OrderEnd] = []
    left = set(names)
    while left and time.monotonic() - began < deadline_seconds + 30:
        await asyncio.sleep(_MOMENT_SECONDS)
        ended = [end for end in await order_ends(pool, [*left]) if end.seconds is not None]
        left -= {end.order_id for end in ended}
        ends += ended
        tell(len(ends))
    return names, ends, time.monotonic() - began


def _shipped(ends: Sequence[OrderEnd]) -> int:
    return sum(end.state is OrderState.SHIPPED for end in ends)
