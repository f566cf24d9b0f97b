"""What an order costs beside the bare workflow of its shape, turn by turn on one server: `orderkit bench orders`."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import psutil
from temporalio.client import Client, WorkflowHandle

from orderkit.benchmarks.bare import BARE_QUEUE
from orderkit.core.orders import OrderId, OrderInput, Review, order_workflow_id
from orderkit.core.policies import SPEC
from orderkit.core.steps import ORDER_QUEUE
from orderkit.temporal.orders import TASK_TIMEOUT

DEADLINE_SECONDS = 600
_WAITS = 200
Run = Callable[[str], Awaitable[None]]  # one workflow, from its start to its end
Pids = Mapping[str, list[int]]  # of each program: server, worker, postgres


@dataclass(frozen=True)
class Side:
    """One side's medians over the rounds; `spread` is the range of the throughput, as a share of its median."""

    per_second: float
    spread: float
    latency_ms: float
    cpu_ms: Mapping[str, float]  # of an order, by program

    @property
    def cpu_together_ms(self) -> float:
        """Of an order, all programs."""
        return sum(self.cpu_ms.values())


@dataclass(frozen=True)
class OrderCost:
    """Real orders beside bare workflows; `at_once` in each of `rounds`."""

    at_once: int
    rounds: int
    orderkit: Side
    bare: Side


async def measure(
    client: Client, pids: Mapping[str, Pids], at_once: int, rounds: int, tell: Callable[[str], None] = lambda _: None
) -> OrderCost:
    """`pids` are the processes of each side, by side and program. Needs a quiet lab."""
    name = f"bench-{uuid.uuid4().hex[:6]}"
    sides = {side: _runner(client, side) for side in ("bare", "orderkit")}
    rates: dict[str, list[float]] = {side: [] for side in sides}
    cpu: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    latencies: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(rounds):
        for side, run in sides.items():
            tell(f"round {turn + 1} of {rounds}: {side}")
            latencies[side] += [await _timed(run(f"{name}-{side}-{turn}-one-{number}")) for number in range(10)]
            before = cpu_seconds(pids[side])
            took = await _timed(asyncio.gather(*(run(f"{name}-{side}-{turn}-{number}") for number in range(at_once))))
            spent = cpu_seconds(pids[side])
            rates[side].append(at_once / took)
            cpu[side].append({each: (spent[each] - before[each]) * 1000 / at_once for each in spent})
    found = {side: _side(rates[side], latencies[side], cpu[side]) for side in sides}
    return OrderCost(at_once, rounds, found["orderkit"], found["bare"])


async def _timed(work: Awaitable[object]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


def _runner(client: Client, side: str) -> Run:
    """Starts all at once, and waits for few at a time: Temporal's server takes 1,200 waits of a namespace at once."""
    waits = asyncio.Semaphore(_WAITS)

    async def run(name: str) -> None:
        handle = await (start(client, _order(name)) if side == "orderkit" else _start_bare(client, name))
        async with waits:
            await handle.result()

    return run


def _order(name: str) -> OrderInput:
    return OrderInput(OrderId(name), review=Review.NONE, policy=SPEC, deadline_seconds=DEADLINE_SECONDS)


async def start(client: Client, order: OrderInput) -> WorkflowHandle[Any, Any]:
    """Straight at Temporal, with nothing of ours between."""
    options = {"id": order_workflow_id(order.order_id), "task_queue": ORDER_QUEUE, "task_timeout": TASK_TIMEOUT}
    return await client.start_workflow("OrderWorkflow", order, **options)  # type: ignore[call-overload,no-any-return]


async def _start_bare(client: Client, name: str) -> WorkflowHandle[Any, Any]:
    return await client.start_workflow("BareOrder", id=name, task_queue=BARE_QUEUE)


def cpu_seconds(pids: Pids) -> dict[str, float]:
    """What each program's processes have spent so far."""
    return {program: sum(map(_of_process, each)) for program, each in pids.items()}


def _of_process(pid: int) -> float:
    """Of a process and of its children, also of those that have ended."""
    process = psutil.Process(pid)
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    gone = process.cpu_times()
    return sum(each.user + each.system for each in times) + gone.children_user + gone.children_system


def _side(rates: list[float], latencies: list[float], cpu: list[dict[str, float]]) -> Side:
    middle = median(rates)
    return Side(
        per_second=middle,
        spread=(max(rates) - min(rates)) / middle,
        latency_ms=median(latencies) * 1000,
        cpu_ms={program: median(each[program] for each in cpu) for program in cpu[0]},
    )
