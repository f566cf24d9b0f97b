"""Why an order has not got further: from the API's health, Temporal's history and the attempts, in that order."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orderkit.client import OrderkitClient
from orderkit.contract import AttemptLine, Health, OrderStatus
from orderkit.core.orders import Review, order_workflow_id
from orderkit.core.policies import POLICIES
from orderkit.core.steps import POLICY_STEPS
from orderkit.errors import DependencyUnavailable, OrderkitError

if TYPE_CHECKING:
    from temporalio.api.failure.v1 import Failure
    from temporalio.client import Client

_LOOK_SECONDS = 3.0
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<name>\S+)(\n\s+(?P<code>[^\n]+))?')
_LIBRARIES = ("site-packages", "/lib/python", "importlib")


async def explain(order_id: str, api: OrderkitClient, connect: Callable[[], Awaitable[Client]]) -> list[str]:
    """One sentence a finding, the most likely cause first; at least one."""
    found = await _servers(api)
    failing: list[str] = []
    try:
        async with asyncio.timeout(_LOOK_SECONDS):
            failing = await _workflow(await connect(), order_workflow_id(order_id))
    except (OrderkitError, TimeoutError):
        pass  # Temporal is away: the health said so
    # A workflow whose code fails neither hears a person nor takes a step: what it waits for is beside the point.
    found += failing or await _step(order_id, api)
    return found or ["everything answers, and the order moves: give it more time (within_seconds=…)"]


async def _servers(api: OrderkitClient) -> list[str]:
    try:
        health = await api.health()
    except DependencyUnavailable as error:
        return [str(error)]
    return list(_ailing(health))


def _ailing(health: Health) -> Iterator[str]:
    for name, server in (("PostgreSQL", health.database), ("Temporal", health.temporal)):
        if not server.ok:
            yield f"{name} is away: {server.detail}"
    if health.temporal.ok:
        for queue, pollers in health.pollers.items():
            if not pollers:
                yield f"no worker polls {queue}; start one: await lab.workers.start()"


async def _workflow(client: Client, workflow_id: str) -> list[str]:
    """Of the order's workflow and its children: that it was terminated, or the error that its tasks fail with."""
    from temporalio.service import RPCError

    try:
        events = (await client.get_workflow_handle(workflow_id).fetch_history()).events
    except RPCError:
        return []
    if events and events[-1].HasField("workflow_execution_terminated_event_attributes"):
        reason = events[-1].workflow_execution_terminated_event_attributes.reason
        why = f" ({reason})" if reason else ""
        then = "the reconcile schedule settles its order within a minute, or at once: orderkit reconcile"
        return [f"the workflow {workflow_id} was terminated{why} and does nothing more; {then}"]
    found = [f"the workflow task of {workflow_id} fails: {_told(last)}"] if (last := _last_failure(events)) else []
    for event in events:
        if event.HasField("child_workflow_execution_started_event_attributes"):
            child = event.child_workflow_execution_started_event_attributes.workflow_execution
            found += await _workflow(client, child.workflow_id)
    return found


def _last_failure(events: Any) -> Failure | None:
    """The failure of the last workflow task, unless one has completed since."""
    for event in reversed(events):
        if event.HasField("workflow_task_completed_event_attributes"):
            return None
        if event.HasField("workflow_task_failed_event_attributes"):
            failure: Failure = event.workflow_task_failed_event_attributes.failure
            return failure
    return None


def _told(failure: Failure) -> str:
    """`TypeError: …, because of KeyError: … (at order.py, line 83, in run: x = y.z)`."""
    chain = [failure]
    while chain[-1].HasField("cause"):
        chain.append(chain[-1].cause)
    message = ", because of ".join(map(_message, [chain[0], chain[-1]] if len(chain) > 1 else chain))
    traces = "\n".join(each.stack_trace for each in reversed(chain))
    frames = [match for match in _FRAME.finditer(traces) if not _is_library(match["file"])]
    if not frames:
        return message
    last = frames[-1]
    code = f": {last['code']}" if last["code"] else ""
    return f"{message} (at {Path(last['file']).name}, line {last['line']}, in {last['name']}{code})"


def _message(failure: Failure) -> str:
    kind = failure.application_failure_info.type
    return f"{kind}: {failure.message}" if kind else failure.message


def _is_library(file: str) -> bool:
    # orderkit itself may be installed among the libraries; its own lines are what is looked for.
    return any(part in file for part in _LIBRARIES) and "/orderkit/" not in file


async def _step(order_id: str, api: OrderkitClient) -> list[str]:
    try:
        status = await api.status(order_id)
        attempts = (await api.attempts(order_id)).attempts
    except OrderkitError as error:
        return [] if isinstance(error, DependencyUnavailable) else [str(error)]
    if status.state == "starting":
        return ["Temporal has the order, but no worker has taken its first step"]
    unfinished = [attempt for attempt in attempts if attempt.outcome != "completed"]
    of_step = [attempt for attempt in unfinished if attempt.step == status.step]
    if status.state == "in_review" and not of_step:
        waits = status.review is Review.HUMAN
        return ["it is in review and waits for a person: await lab.orders.approve(…)"] if waits else []
    return [_attempt(of_step, status)] if of_step else []


def _attempt(attempts: list[AttemptLine], status: OrderStatus) -> str:
    last = attempts[-1]
    policy = POLICIES.get(status.policy or "")
    limited = policy is not None and policy.max_attempts and last.step in POLICY_STEPS
    of = f" of {policy.max_attempts}" if policy and limited else ""
    errors = [f"{a.outcome.replace('_', ' ')}{f': {a.error}' if a.error else ''}" for a in attempts if a is not last]
    if last.outcome == "running":
        before = f"; the one before: {errors[-1]}" if errors else ""
        return f"{last.step} is on attempt {last.attempt}{of}, which has not answered yet{before}"
    told = f"{last.outcome.replace('_', ' ')}{f': {last.error}' if last.error else ''}"
    return f"{last.step} had attempt {last.attempt}{of}, which ended as {told}"
