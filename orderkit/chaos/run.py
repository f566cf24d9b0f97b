"""Carries a plan out against a running lab, waits for quiet, and audits."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from temporalio.client import Client
from temporalio.service import RPCError

from orderkit.audit.audit import audit
from orderkit.audit.rules import Finding
from orderkit.chaos.by_hand import do
from orderkit.chaos.plan import DEADLINE_SECONDS, Blow, ChaosPlan, Deed, OrderPlan, ProcessBlow, Saying
from orderkit.client import OrderkitClient
from orderkit.contract import AddressBody, FaultsBody, StartOrder, UpdateAddressBody
from orderkit.core.orders import DEFAULT_ADDRESS, ENDS, order_workflow_id
from orderkit.core.policies import PolicyName
from orderkit.errors import (
    DependencyUnavailable,
    LabError,
    MessageRefused,
    OrderClosed,
    OrderConflict,
    OrderkitError,
    OrderNotFound,
)
from orderkit.stack.stack import Stack
from orderkit.store.database import AWAY, open_pool
from orderkit.store.measurements import order_ends
from orderkit.temporal.client import connect_temporal
from orderkit.temporal.workflows import TemporalWorkflows

T = TypeVar("T")
COMING_BACK: tuple[type[Exception], ...] = (OrderkitError, RPCError, *AWAY)
Progress = Callable[[str], None]
NEW_ADDRESS = AddressBody(**{**AddressBody.of(DEFAULT_ADDRESS).model_dump(), "street": "99 Chaos Avenue"})


@dataclass
class ChaosReport:
    """What was done, how the orders ended, and what the auditor found."""

    seed: int
    orders: int
    blows: list[str] = field(default_factory=list)
    said: dict[str, int] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)  # accepted, but the database does not know them
    removed: list[str] = field(
        default_factory=list
    )  # the same, since a person had ended them before they were received
    left_open: list[str] = field(default_factory=list)
    left_running: list[str] = field(default_factory=list)  # workflows in Temporal, of whatever name
    findings: list[Finding] = field(default_factory=list)
    slowest_seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Nothing lost, nothing open, nothing left running, no finding."""
        return not (self.lost or self.left_open or self.left_running or self.findings)


async def run_chaos(
    stack: Stack, plan: ChaosPlan, within_seconds: float = 180, progress: Progress = lambda line: None
) -> ChaosReport:
    """Run the plan; waits at most `within_seconds` for all orders to end. Afterwards every program runs again."""
    report = ChaosReport(plan.seed, len(plan.orders))
    said: Counter[str] = Counter()
    accepted: list[str] = []
    ended_by_hand: set[str] = set()
    loop = asyncio.get_running_loop()
    begin = loop.time()

    async def order(each: OrderPlan, client: OrderkitClient) -> None:
        await asyncio.sleep(begin + each.at_seconds - loop.time())
        body = StartOrder(
            policy=PolicyName.BUDGET,
            review_seconds=1,
            deadline=DEADLINE_SECONDS,
            faults=FaultsBody(scenario=plan.scenario, seed=each.seed),
        )
        try:
            await _patiently(lambda: client.start(each.order_id, body), within_seconds)
        except OrderConflict:
            if not any(deed is Deed.START for _, deed in each.deeds):
                raise
            said["start: the id was taken by hand"] += 1  # that one is an order like the others
        accepted.append(each.order_id)
        started = loop.time()
        for delay, saying in each.sayings:
            await asyncio.sleep(max(0.0, started + delay - loop.time()))
            said[f"{saying}: {await _say(client, each, saying, body, within_seconds)}"] += 1

    async def by_hand(each: OrderPlan, temporal: Client) -> None:
        for delay, deed in each.deeds:
            await asyncio.sleep(max(0.0, begin + each.at_seconds + delay - loop.time()))
            done = await do(temporal, deed, each.order_id)
            said[f"{deed} by hand: {done}"] += 1
            # Without an answer it may still have been done.
            if deed in (Deed.TERMINATE, Deed.DELETE) and done != "not found":
                ended_by_hand.add(each.order_id)

    async def strike(blow: ProcessBlow) -> None:
        await asyncio.sleep(begin + blow.at_seconds - loop.time())
        text = f"{blow.at_seconds:5.1f} s  {blow.blow} {blow.target}"
        try:
            await asyncio.to_thread(_strike, stack, blow)
        except LabError as error:
            text += f" (not there: {error})"
        if blow.blow is Blow.PAUSE:
            await asyncio.sleep(blow.seconds)
            await asyncio.to_thread(_resume, stack, blow.target)
            text += f" for {blow.seconds:.1f} s"
        report.blows.append(text)
        progress(text)

    temporal = await connect_temporal(stack.temporal_settings())
    async with OrderkitClient(stack.api_url) as client:
        await asyncio.gather(
            *(order(each, client) for each in plan.orders),
            *(by_hand(each, temporal) for each in plan.orders),
            *(strike(blow) for blow in plan.blows),
        )
    progress("waiting for quiet")
    report.said = dict(sorted(said.items()))
    await _wait_and_audit(stack, accepted, ended_by_hand, report, within_seconds)
    return report


def _strike(stack: Stack, blow: ProcessBlow) -> None:
    if blow.blow is Blow.KILL:
        stack.kill(blow.target)
    else:
        stack.pause(blow.target)


def _resume(stack: Stack, target: str) -> None:
    with suppress(LabError):  # killed while it was paused
        stack.resume(target)


async def _patiently(ask: Callable[[], Awaitable[T]], within_seconds: float) -> T:
    """Ask again while a server is away, as any client must; every call is safe to repeat."""
    deadline = asyncio.get_running_loop().time() + within_seconds
    while True:
        try:
            return await ask()
        except DependencyUnavailable:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.2)


async def _say(
    client: OrderkitClient, order: OrderPlan, saying: Saying, body: StartOrder, within_seconds: float
) -> str:
    """Say it, and note how it was answered."""
    change = UpdateAddressBody(new_address=NEW_ADDRESS, updated_by="chaos")
    asks: dict[Saying, Callable[[], Awaitable[object]]] = {
        Saying.CANCEL: lambda: client.cancel(order.order_id, "chaos", "chaos"),
        Saying.ADDRESS: lambda: client.update_address(order.order_id, change),
        Saying.DUPLICATE: lambda: client.start(order.order_id, body),
    }
    try:
        await _patiently(asks[saying], within_seconds)
    except (OrderClosed, OrderConflict, MessageRefused, OrderNotFound) as error:
        return type(error).__name__
    return "accepted"


async def _wait_and_audit(
    stack: Stack, order_ids: list[str], ended_by_hand: set[str], report: ChaosReport, within_seconds: float
) -> None:
    deadline = asyncio.get_running_loop().time() + within_seconds
    while True:
        try:
            await _look(stack, order_ids, ended_by_hand, report)
        except COMING_BACK:
            pass
        else:
            if not (report.left_open or report.lost or report.left_running):
                break
        if asyncio.get_running_loop().time() > deadline:
            break
        await asyncio.sleep(0.3)
    async with open_pool(stack.database_url) as pool:
        report.findings = (await audit(pool, await connect_temporal(stack.temporal_settings()), order_ids)).findings


async def _look(stack: Stack, order_ids: list[str], ended_by_hand: set[str], report: ChaosReport) -> None:
    """Note which orders are lost or open; an order is open until its row and its workflow have ended."""
    async with open_pool(stack.database_url) as pool:
        ends = {end.order_id: end for end in await order_ends(pool, order_ids)}
    unknown = set(order_ids) - set(ends)
    report.lost, report.removed = sorted(unknown - ended_by_hand), sorted(unknown & ended_by_hand)
    report.left_open = sorted(order_id for order_id, end in ends.items() if end.state not in ENDS)
    if not report.left_open:
        client = await connect_temporal(stack.temporal_settings())
        listed = client.list_workflows(
            "ExecutionStatus = 'Running' AND WorkflowType IN ('OrderWorkflow', 'ShippingWorkflow')"
        )
        workflows = TemporalWorkflows(client)
        # A run that was deleted while the server was killed may stay in the list for ever.
        report.left_running = sorted(
            [each.id async for each in listed if await workflows.status(each.id, each.run_id) == "running"]
        )
        statuses = await asyncio.gather(*(workflows.status(order_workflow_id(order_id)) for order_id in ends))
        report.left_open = [each for each, status in zip(ends, statuses, strict=True) if status == "running"]
    report.ends = dict(sorted(Counter(end.state.value for end in ends.values()).items()))
    report.slowest_seconds = round(max((end.seconds or 0.0 for end in ends.values()), default=0.0), 1)
