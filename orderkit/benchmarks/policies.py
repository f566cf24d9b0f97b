"""What a retry policy really achieves: many orders run for real, beside the prediction at the overheads measured."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from temporalio.client import Client, WorkflowFailureError

from orderkit.analysis.assumptions import Assumptions, measured_overheads
from orderkit.analysis.comparison import interval
from orderkit.analysis.prediction import predict
from orderkit.audit.audit import audit
from orderkit.audit.rules import Finding
from orderkit.benchmarks.orders import start
from orderkit.core.faults import FaultPlan
from orderkit.core.orders import OrderId, OrderInput, OrderState, check_order
from orderkit.core.policies import Policy
from orderkit.store.database import Pool
from orderkit.store.measurements import OrderEnd, attempt_gaps, order_ends


@dataclass(frozen=True)
class Share:
    """A share of all orders, from 0 to 1; `low` and `high` bound its 95 % interval."""

    predicted: float
    measured: float
    low: float
    high: float


@dataclass(frozen=True)
class PolicyMeasurement:
    """What a policy did, beside what was predicted. Times in seconds."""

    orders: int
    shipped_in_time: Share
    decided_in_time: Share
    mean_seconds: float
    predicted_mean_seconds: float
    slowest_seconds: float
    overhead_seconds: float  # of an attempt that completes
    retry_overhead_seconds: float  # of one that fails
    findings: tuple[Finding, ...]

    @property
    def finding_counts(self) -> Mapping[str, int]:
        """How often the auditor found what."""
        return Counter(finding.kind.value for finding in self.findings)


async def measure_policy(
    pool: Pool,
    client: Client,
    orders: Sequence[OrderInput],
    at_once: int,
    progress: Callable[[int], None] = lambda done: None,
) -> PolicyMeasurement:
    """Run these orders, which share policy, faults and deadline; audit them and compare. Raises InvalidOrder."""
    first = orders[0]
    check_order(first)
    ids = await run_orders(client, orders, at_once, progress)
    ends = await order_ends(pool, ids)
    overheads = measured_overheads(await attempt_gaps(pool, ids), first.policy)
    findings = (await audit(pool, client, ids)).findings
    return _compare(first.policy, first.faults, first.deadline_seconds, ends, overheads, findings)


def orders_like(
    name: str, count: int, policy: Policy, faults: FaultPlan, deadline_seconds: float = 15.0
) -> list[OrderInput]:
    """So many orders, called name-00000, name-00001 …"""
    return [
        OrderInput(OrderId(f"{name}-{n:05}"), policy=policy, faults=faults, deadline_seconds=deadline_seconds)
        for n in range(count)
    ]


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
            handle = await start(client, order)
            with suppress(WorkflowFailureError):  # a failed order is an end like the others
                await handle.result()
        done += 1
        progress(done)
        return order.order_id

    return list(await asyncio.gather(*(run(order) for order in orders)))


def _compare(
    policy: Policy,
    faults: FaultPlan,
    deadline_seconds: float,
    ends: Sequence[OrderEnd],
    overheads: tuple[float, float],
    findings: Sequence[Finding],
) -> PolicyMeasurement:
    overhead, again = overheads
    assumptions = Assumptions(
        deadline_seconds=deadline_seconds, overhead_seconds=overhead, retry_overhead_seconds=again
    )
    predicted = predict(faults, policy, assumptions)
    in_time = [end for end in ends if end.seconds is not None and end.seconds <= deadline_seconds]
    shipped = sum(end.state is OrderState.SHIPPED for end in in_time)
    return PolicyMeasurement(
        orders=len(ends),
        shipped_in_time=_share(predicted.shipped_within_deadline, shipped, len(ends)),
        decided_in_time=_share(predicted.decided_within_deadline, len(in_time), len(ends)),
        mean_seconds=sum(end.seconds or 0 for end in ends) / len(ends),
        predicted_mean_seconds=predicted.mean_seconds,
        slowest_seconds=max(end.seconds or 0 for end in ends),
        overhead_seconds=overhead,
        retry_overhead_seconds=again,
        findings=tuple(findings),
    )


def _share(predicted: float, hits: int, orders: int) -> Share:
    return Share(predicted, hits / orders, *interval(hits, orders))
