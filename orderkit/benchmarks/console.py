"""How long from an event in the database to the widget's new value: `orderkit bench console`."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from orderkit.client import OrderkitClient
from orderkit.console.console import open_console
from orderkit.console.state import Change
from orderkit.contract import FaultsBody, StartOrder
from orderkit.core.faults import Scenario
from orderkit.core.orders import Review
from orderkit.core.policies import PolicyName
from orderkit.errors import DependencyUnavailable

_WITHIN_SECONDS = 60.0


@dataclass(frozen=True)
class ConsoleLatency:
    """Over all events of the orders; milliseconds. The clock starts just before the event's commit."""

    orders: int
    events: int
    p50_ms: float
    p95_ms: float
    worst_ms: float

    def __str__(self) -> str:
        times = f"p50 {self.p50_ms:.0f} ms, p95 {self.p95_ms:.0f} ms, worst {self.worst_ms:.0f} ms"
        return f"commit to widget, {self.orders} orders at once, {self.events} events: {times}"


async def measure(api: OrderkitClient, database_url: str, orders: int = 20, prefix: str = "") -> ConsoleLatency:
    """Run orders under the scenario workshop and watch them in a console. Needs the database's clock to be ours.

    Raises DependencyUnavailable when the console cannot listen to the database.
    """
    prefix = prefix or f"latency-{uuid.uuid4().hex[:6]}"
    names = {f"{prefix}-{number}" for number in range(1, orders + 1)}
    seen: dict[int, float] = {}

    ended = asyncio.Event()

    def shown(change: Change) -> None:
        now = datetime.now(UTC)
        for event in change.events:
            if event.order_id in names:
                seen.setdefault(event.id, (now - event.ts).total_seconds() * 1000)
        if all(name in console.state.orders and console.state.orders[name].closed for name in names):
            ended.set()

    console = open_console(api, database_url, shown=shown)  # bound before `shown` is called
    try:
        await console.ready()
        if console.state.trouble is not None:
            raise DependencyUnavailable("postgresql", console.state.trouble)
        faults = FaultsBody(scenario=Scenario.WORKSHOP, seed=1)
        body = StartOrder(policy=PolicyName.BUDGET, review=Review.AUTO, review_seconds=1.0, faults=faults)
        await asyncio.gather(*(api.start(name, body) for name in sorted(names)))
        async with asyncio.timeout(_WITHIN_SECONDS):
            await ended.wait()
    finally:
        await console.aclose()
    times = sorted(seen.values())
    return ConsoleLatency(orders, len(times), times[len(times) // 2], times[int(0.95 * len(times))], times[-1])
