"""Why an order does not go on: looks at the API's health, at Temporal's history, then at the attempts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

from orderkit.client import OrderkitClient
from orderkit.contract import AttemptLine, Health, OrderStatus
from orderkit.core.orders import Review, order_workflow_id
from orderkit.core.policies import POLICIES
from orderkit.core.steps import POLICY_STEPS
from orderkit.errors import DependencyUnavailable, OrderkitError

if TYPE_CHECKING:
    from temporalio.client import Client

_LOOK_SECONDS = 3.0


async def explain(order_id: str, api: OrderkitClient, connect: Callable[[], Awaitable[Client]]) -> list[str]:
    """One sentence for each finding, the most likely cause first; at least one."""
    from temporalio.service import RPCError

    found = await _servers(api)
    failing: list[str] = []
    try:
        async with asyncio.timeout(_LOOK_SECONDS):
            client = await connect()
            failing = await _workflow(client, order_workflow_id(order_id)) or await _build(client, order_id)
    except (OrderkitError, RPCError, TimeoutError):
        pass  # Temporal is away: the health said so
    # A workflow whose code fails receives no message and takes no step, so it does not matter what it waits for.
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
    """Whether the order's workflow was terminated, or the error with which its tasks, or its children's, fail."""
    from temporalio.client import WorkflowExecutionStatus
    from temporalio.service import RPCError

    from orderkit.temporal.failing import failing_in

    try:
        handle = client.get_workflow_handle(workflow_id)
        description = await handle.describe()
        failing = await failing_in(client, description.raw_description)
        if description.status is WorkflowExecutionStatus.TERMINATED:
            last = (await handle.fetch_history()).events[-1].workflow_execution_terminated_event_attributes
            why = f" ({last.reason})" if last.reason else ""
            then = "the reconcile schedule settles its order within a minute, or at once: orderkit reconcile"
            return [f"the workflow {workflow_id} was terminated{why} and does nothing more; {then}"]
    except RPCError:
        return []
    return [f"the workflow task of {failing.workflow_id} fails: {failing}"] if failing else []


async def _build(client: Client, order_id: str) -> list[str]:
    """That the order's build has no worker; of an order that has none yet, the build that gets new orders."""
    from orderkit.temporal.deployments import Deployment, build_of

    deployment = Deployment(client)
    unserved = await deployment.unserved()
    if not unserved:
        return []
    build = build_of(await client.get_workflow_handle(order_workflow_id(order_id)).describe())
    waits = [build] if build else [each.build_id for each in await deployment.status() if each.share]
    return [
        f"no worker of build {each} runs; start one: orderkit worker --build-id {each}, or: orderkit deploy"
        for each in waits
        if each in unserved
    ]


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
