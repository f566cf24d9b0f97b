"""What a growing crowd, and growing numbers of signals, cost: `orderkit bench growth`."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from temporalio.client import Client

from orderkit.benchmarks.orders import DEADLINE_SECONDS, OrderCost, Pids, cpu_seconds, measure, start
from orderkit.core.messages import ReviewDecision, UpdateAddress
from orderkit.core.orders import Address, OrderId, OrderInput, Review
from orderkit.core.policies import SPEC
from orderkit.stack.processes import memory_mb

_ORDERS = 10  # that get signals, at once
_WHO = "bench"


@dataclass(frozen=True)
class CrowdSize:
    """Orders beside bare workflows, all at once, and the memory after them; the server holds what came before, too."""

    cost: OrderCost
    memory_mb: Mapping[str, float]  # of server, worker, postgres and bare worker


@dataclass(frozen=True)
class SignalCount:
    """Orders that wait for a person, get so many changes of address each, and are approved then; all of them at once.

    Each figure is of one order; `seconds` from the first start until all have ended.
    """

    signals: int
    orders: int
    seconds: float
    cpu_ms: Mapping[str, float]  # by program
    history_events: int
    history_kib: float


@dataclass(frozen=True)
class Growth:
    """Both curves."""

    crowds: list[CrowdSize]
    signals: list[SignalCount]


async def measure_growth(
    client: Client,
    pids: Mapping[str, Pids],
    crowds: Sequence[int],
    signals: Sequence[int],
    tell: Callable[[str], None] = lambda _: None,
) -> Growth:
    """`pids` are the processes of each side, by side and program. Needs a quiet lab."""
    counted = []
    for count in signals:
        tell(f"{count} signals an order")
        counted.append(await _signalled(client, pids["orderkit"], count))
    grown = []
    for at_once in crowds:
        said = f"{at_once} at once"
        cost = await measure(client, pids, at_once, 1, lambda of, said=said: tell(f"{said}, {of}"))  # type: ignore[misc]
        programs = {**pids["orderkit"], "bare worker": pids["bare"]["worker"]}
        grown.append(CrowdSize(cost, {name: sum(map(memory_mb, each)) for name, each in programs.items()}))
    return Growth(grown, counted)


async def _signalled(client: Client, pids: Pids, signals: int) -> SignalCount:
    name = f"bench-signals-{uuid.uuid4().hex[:6]}"
    before, began = cpu_seconds(pids), time.perf_counter()
    lengths = await asyncio.gather(*(_order(client, f"{name}-{number}", signals) for number in range(_ORDERS)))
    seconds, spent = time.perf_counter() - began, cpu_seconds(pids)
    events, size = (max(each) for each in zip(*lengths, strict=True))
    cpu = {program: (spent[program] - before[program]) * 1000 / _ORDERS for program in spent}
    return SignalCount(signals, _ORDERS, seconds, cpu, events, size / 1024)


async def _order(client: Client, name: str, signals: int) -> tuple[int, int]:
    """Run it; events and bytes of its history."""
    order = OrderInput(OrderId(name), review=Review.HUMAN, policy=SPEC, deadline_seconds=DEADLINE_SECONDS)
    handle = await start(client, order)
    for number in range(1, signals + 1):
        address = Address(f"{number} Long Road", "Springfield", "IL", "62701")
        await handle.signal("update_address", UpdateAddress(address, _WHO))
    await handle.signal("approve_order", ReviewDecision(_WHO))
    await handle.result()
    info = (await handle.describe()).raw_description.workflow_execution_info
    return info.history_length, info.history_size_bytes
