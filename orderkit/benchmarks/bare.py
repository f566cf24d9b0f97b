"""The least that an order costs in Temporal: workflows of the same shape whose activities do nothing, with no database.

`orderkit bench orders` runs it turn by turn with real orders on the same server, in a worker process of its own.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import PollerBehaviorAutoscaling, Worker

BARE_QUEUE, BARE_SHIPPING_QUEUE = "bare-order-tq", "bare-shipping-tq"
READY = "bare worker ready"
_STEPS = 4  # receive, validate, charge, ship; prepare and dispatch are the child's
_LIMIT = timedelta(seconds=10)


@activity.defn(name="bare_step")
async def bare_step(number: int) -> None:
    """Do nothing."""


@workflow.defn(name="BareShipping")
class BareShipping:
    """Two activities."""

    @workflow.run
    async def run(self) -> None:
        """One after the other."""
        for number in range(2):
            await workflow.execute_activity(bare_step, number, start_to_close_timeout=_LIMIT)


@workflow.defn(name="BareOrder")
class BareOrder:
    """Four activities, and the child before the last."""

    @workflow.run
    async def run(self) -> None:
        """One after the other."""
        for number in range(_STEPS):
            if number == _STEPS - 1:
                name = f"shipping-{workflow.info().workflow_id}"
                await workflow.execute_child_workflow(BareShipping.run, id=name, task_queue=BARE_SHIPPING_QUEUE)
            await workflow.execute_activity(bare_step, number, start_to_close_timeout=_LIMIT)


@asynccontextmanager
async def running_bare_worker(environment: dict[str, str]) -> AsyncIterator[int]:
    """A worker process for both bare queues; gives its pid. `environment` leads it to the server."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __spec__.name),
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            while READY not in (await process.stdout.readline()).decode():
                if process.returncode is not None:
                    raise RuntimeError("the bare worker ended before it served")
        yield process.pid
    finally:
        with suppress(ProcessLookupError):  # it has ended already
            process.terminate()
        await process.wait()


async def _serve(client: Client) -> None:
    queues: dict[str, list[type[Any]]] = {BARE_QUEUE: [BareOrder], BARE_SHIPPING_QUEUE: [BareShipping]}
    workers = [
        Worker(
            client,
            task_queue=queue,
            workflows=workflows,
            activities=[bare_step],
            max_cached_workflows=5_000,
            workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
            activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        )
        for queue, workflows in queues.items()
    ]
    async with workers[0], workers[1]:
        sys.stdout.write(f"{READY}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


async def _main() -> None:
    from orderkit.settings import Settings
    from orderkit.temporal.client import TemporalSettings, connect_temporal

    await _serve(await connect_temporal(TemporalSettings.from_environment(Settings())))


if __name__ == "__main__":
    import uvloop

    uvloop.run(_main())
