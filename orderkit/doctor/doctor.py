"""`doctor`: what is wrong, and how to mend it. Works when everything is down, and without a local lab."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from orderkit.doctor.machine import Check, check_folder, check_platform, check_ports, check_programs
from orderkit.errors import DependencyUnavailable, LabError, OrderkitError, UnsupportedDatabase
from orderkit.stack.processes import label, processes_of
from orderkit.stack.readiness import QUEUES, health, live_pollers, poller_name
from orderkit.stack.stack import Stack, find_stack
from orderkit.stack.status import status
from orderkit.stack.target import Target, find_place
from orderkit.temporal.server import is_serving

if TYPE_CHECKING:
    from temporalio.client import Client

_UP = "orderkit up"
_MOST_WORKFLOWS, _MOST_SHOWN = 500, 3


def doctor(home: Path | None = None) -> list[Check]:
    """Look at everything; takes a few seconds at most. Blocks: in a notebook, call it in a thread."""
    return list(_examine(home))


def _examine(home: Path | None) -> Iterator[Check]:
    yield from check_platform()
    try:
        home, named = find_place(home)
        stack = find_stack(home) if home.is_dir() else None
        foreign = named is not None and (stack is None or stack.elsewhere != named)
        target = Target.of_stack(stack) if stack and not foreign else Target.from_environment()
    except LabError as error:
        yield Check("lab", False, str(error), "do what it says")
        return
    except OrderkitError as error:
        yield Check("settings", False, str(error), "set or unset what it names")
        return
    elsewhere = foreign or (stack is not None and stack.elsewhere is not None)
    yield from check_programs(servers=not elsewhere)
    if elsewhere:
        uses = "no lab of this folder uses them yet; one will, after orderkit up" if foreign else f"the lab {home}"
        yield Check("servers elsewhere", True, f"what ORDERKIT_DATABASE_URL and TEMPORAL_* name; used by {uses}")
    if not foreign:
        yield from check_folder(home)
        yield from check_ports(stack)
        yield from _check_processes(home, stack)
        if stack is None:
            return  # servers on the usual ports are not this lab's
    yield from asyncio.run(_check_services(target, "" if elsewhere else _UP, "" if foreign else _UP))


def _check_processes(home: Path, stack: Stack | None) -> Iterator[Check]:
    if stack is None:
        yield Check("supervisord", False, "no lab was ever started here", _UP)
    for row in status(home):
        fine = row.state in ("running", "starting")
        detail = f"{row.state}" + (f", pid {row.pid}, {row.memory_mb:.0f} MB" if row.pid else "")
        log = f" Its log: {stack.log(row.name)}" if stack else ""
        remedy = f"{_UP}.{log}" if row.state != "away" else f"start it where it runs: {row.url}"
        yield Check(row.name, fine, f"{detail}{': ' + row.problem if row.problem else ''}", remedy)
    found = stack.extra() if stack and stack.alive() else processes_of(home)
    strays = [f"{label(process)} (pid {process.pid})" for process in found]
    yield Check("stray processes", not strays, ", ".join(strays) or "none", _UP)


async def _check_services(target: Target, remedy: str, mend_ours: str) -> list[Check]:
    """`remedy` is for the servers, `mend_ours` for worker and API; empty if only their owner can do it."""
    settings = target.settings
    found = [check async for check in _check_database(target, remedy)]
    found += [check async for check in _check_temporal(target, remedy, mend_ours)]
    answer = await asyncio.to_thread(health, settings.api_host, settings.api_port)
    detail = f"{target.api_url}/health: {answer or 'no answer'}"
    return [*found, Check("API", answer.startswith("200"), detail, mend_ours or "start it: orderkit up")]


async def _check_database(target: Target, remedy: str) -> AsyncIterator[Check]:
    from orderkit.store.migrations import pending

    try:
        missing = await pending(target.database_url)
    except UnsupportedDatabase as error:
        yield Check("database", False, error.what, error.remedy)
        return
    except DependencyUnavailable as error:
        yield Check("database", False, str(error), remedy or "start PostgreSQL, or correct ORDERKIT_DATABASE_URL")
        return
    except Exception as error:  # a refusal: wrong password, no such database, no right to look
        yield Check("database", False, f"{type(error).__name__}: {error}", remedy or "correct ORDERKIT_DATABASE_URL")
        return
    yield Check("database", True, "answers")
    detail = f"not applied: {', '.join(missing)}" if missing else "current"
    yield Check("schema", not missing, detail, "orderkit db migrate")


async def _check_temporal(target: Target, remedy: str, mend_ours: str) -> AsyncIterator[Check]:
    mend = remedy or "start it, or correct TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE"
    try:
        client = await _connect(target)
    except DependencyUnavailable as error:
        yield Check("Temporal", False, str(error), mend)
        return
    if not await is_serving(client):
        yield Check("Temporal", False, f"the frontend, or its namespace {client.namespace}, does not work", mend)
        return
    yield Check(
        "Temporal", True, f"answers at {client.service_client.config.target_host}, namespace {client.namespace}"
    )
    for queue in QUEUES:
        try:
            who = await live_pollers(client, queue, target.stack)
        except DependencyUnavailable as error:
            yield Check(f"queue {queue}", False, str(error), mend)
            continue
        names = map(poller_name, who) if target.stack else who
        detail = f"polled by {', '.join(names)}" if who else "no worker polls it: orders wait"
        yield Check(f"queue {queue}", bool(who), detail, mend_ours or "start a worker: orderkit up")
    yield await check_workflows(client)
    yield await check_builds(client)
    yield await check_schedule(client)


async def check_workflows(client: Client) -> Check:
    """Whether the workflows of all running orders do their work."""
    from temporalio.service import RPCError

    from orderkit.temporal.failing import failing_among, running_orders

    try:
        running = await running_orders(client, _MOST_WORKFLOWS)
        failing = await failing_among(client, running)
    except RPCError as error:
        return Check("workflows", False, f"Temporal does not list them: {error.message}", "try again")
    detail = "; ".join(f"{task.workflow_id} fails: {task}" for task in list(failing.values())[:_MOST_SHOWN])
    more = f"; and {len(failing) - _MOST_SHOWN} more" if len(failing) > _MOST_SHOWN else ""
    remedy = "mend the code and restart the workers, or settle an order: orderkit reconcile ORDER_ID --terminate"
    return Check("workflows", not failing, f"{detail}{more}" or f"{len(running)} orders run, none stands still", remedy)


async def check_builds(client: Client) -> Check:
    """Whether every build that gets orders, or has some, has a worker."""
    from orderkit.temporal.deployments import Deployment

    try:
        deployment = Deployment(client)
        builds, unserved = await deployment.status(), await deployment.unserved()
    except OrderkitError as error:
        return Check("builds", False, str(error), "try again")
    if unserved:
        remedy = f"start one: orderkit worker --build-id {unserved[0]}; or send orders elsewhere: orderkit deploy"
        return Check("builds", False, f"orders wait for {', '.join(unserved)}: no worker of it runs", remedy)
    return Check("builds", True, f"{len(builds)} known" if builds else "none; workers are not versioned")


async def check_schedule(client: Client) -> Check:
    """Whether the schedule that settles stranded orders runs. The first worker makes it."""
    from temporalio.service import RPCError, RPCStatusCode

    from orderkit.workflows.reconcile import WORKFLOW_ID

    name, remedy = "reconcile schedule", f"temporal schedule toggle --schedule-id {WORKFLOW_ID} --unpause"
    try:
        state = (await client.get_schedule_handle(WORKFLOW_ID).describe()).schedule.state
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return Check(name, True, "not made yet: the first worker makes it")
        return Check(name, False, f"Temporal does not describe it: {error.message}", "try again")
    note = f" ({state.note})" if state.note else ""
    return Check(name, not state.paused, f"is paused{note}" if state.paused else "runs every minute", remedy)


async def _connect(target: Target) -> Client:
    if target.stack:
        return await target.stack.connect_quietly()
    from orderkit.temporal.client import connect_temporal

    return await connect_temporal(target.temporal)
