"""The composition root of a worker process: connects, serves one queue or both, stops gracefully."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, nullcontext
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import (
    FixedSizeSlotSupplier,
    PollerBehaviorAutoscaling,
    Worker,
    WorkerDeploymentConfig,
    WorkerTuner,
)

from orderkit.business import Business
from orderkit.core.builds import DEPLOYMENT
from orderkit.core.steps import ORDER_QUEUE, SHIPPING_QUEUE
from orderkit.errors import DependencyUnavailable, UnsupportedDatabase
from orderkit.settings import AT_ONCE, Settings
from orderkit.store.database import Pool, open_pool
from orderkit.store.events import PostgresAttemptLog
from orderkit.store.orders import PostgresOrders
from orderkit.store.world import SimulatedCarrier, SimulatedPaymentProvider
from orderkit.temporal.client import TemporalSettings, connect_temporal
from orderkit.temporal.traces import tracing
from orderkit.temporal.workflows import TemporalWorkflows
from orderkit.worker.activities import NoteActivities, OrderActivities, ReconcileActivities, ShippingActivities
from orderkit.worker.attempts import RecordAttempts
from orderkit.worker.builds import BuildAttemptLog
from orderkit.worker.garbage import collect_in_quiet, collect_less
from orderkit.worker.metrics import CountAttempts
from orderkit.worker.reconcile import ensure_schedule
from orderkit.worker.sandbox import ContextFreeRunner, keep_compiled
from orderkit.worker.slots import WorkingSlots
from orderkit.workflows.order import OrderWorkflow
from orderkit.workflows.reconcile import MovingReconcileWorkflow, ReconcileWorkflow
from orderkit.workflows.shipping import ShippingWorkflow

_MOST_ATTEMPTS = 1_000  # of one queue at once, with those that wait
_WORKFLOW_TASKS = 100

logger = logging.getLogger(__name__)
T = TypeVar("T")


class ProcessClock:
    """The Clock port of a real worker: who sleeps lends its slot; a crash is SIGKILL, nothing is cleaned up."""

    def __init__(self, slots: WorkingSlots | None = None) -> None:
        self._slots = slots

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        with self._slots.lent() if self._slots else nullcontext():
            await asyncio.sleep(seconds)

    def crash(self) -> None:
        """Kill this process on the spot."""
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


def business_on(pool: Pool, slots: WorkingSlots | None = None) -> Business:
    """The business functions over PostgreSQL and the simulated outside world."""
    clock = ProcessClock(slots)
    world = SimulatedPaymentProvider(pool, clock.sleep), SimulatedCarrier(pool, clock.sleep)
    return Business(PostgresOrders(pool), *world, clock)


def make_workers(
    client: Client,
    pool: Pool,
    queues: Sequence[str],
    slots: int = AT_ONCE,
    build_id: str = "",
    deployment: str = DEPLOYMENT,
) -> list[Worker]:
    """One worker a queue. `slots` is how many attempts of a queue work at once; those that only wait do not count.

    With a build id they get the workflows that Temporal sends to that build of the deployment. Without one nothing is
    versioned.
    """
    versioning = pinned_to(build_id, deployment) if build_id else None
    log = PostgresAttemptLog(pool)
    slots_of = {queue: WorkingSlots(slots, max(slots, _MOST_ATTEMPTS)) for queue in (ORDER_QUEUE, SHIPPING_QUEUE)}
    business, shipping = (business_on(pool, each) for each in slots_of.values())
    notes = NoteActivities(PostgresOrders(pool))
    # One for all queues, so that their writes join.
    recording = RecordAttempts(BuildAttemptLog(log, build_id) if build_id else log)
    reconcile = ReconcileActivities(PostgresOrders(pool), TemporalWorkflows(client))
    served: dict[str, tuple[list[type], list[Callable[..., Any]]]] = {
        ORDER_QUEUE: (
            [OrderWorkflow, MovingReconcileWorkflow if build_id else ReconcileWorkflow],
            [*OrderActivities(business).all, notes.note_refusal, reconcile.find_stranded],
        ),
        SHIPPING_QUEUE: ([ShippingWorkflow], [*ShippingActivities(shipping).all, notes.note_refusal]),
    }
    return [
        Worker(
            client,
            task_queue=queue,
            workflows=served[queue][0],
            activities=served[queue][1],
            workflow_runner=ContextFreeRunner(),
            interceptors=[CountAttempts(), recording],
            deployment_config=versioning,
            tuner=WorkerTuner.create_composite(
                workflow_supplier=FixedSizeSlotSupplier(_WORKFLOW_TASKS),
                activity_supplier=slots_of[queue],
                local_activity_supplier=FixedSizeSlotSupplier(1),  # we have none, nor Nexus operations
                nexus_supplier=FixedSizeSlotSupplier(1),
            ),
            max_cached_workflows=5_000,
            workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
            activity_task_poller_behavior=PollerBehaviorAutoscaling(),
            # A killed worker's sticky tasks go back to the queue after this; the default, 10 s, would eat the deadline.
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
            graceful_shutdown_timeout=timedelta(seconds=2),
        )
        for queue in queues
    ]


def pinned_to(build_id: str, deployment: str = DEPLOYMENT) -> WorkerDeploymentConfig:
    """A worker's build, on which a workflow stays once it has begun there.

    An order lives for seconds, a day at most: it ends on the code with which it began, and no change of that code needs
    a patch. As the worker's default, not the workflow's: a worker without a build id may not name a behavior.
    """
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(deployment, build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.PINNED,
    )


async def run_worker(
    settings: Settings, temporal: TemporalSettings, queues: Sequence[str] = (ORDER_QUEUE, SHIPPING_QUEUE)
) -> None:
    """Serve until SIGTERM or SIGINT; waits for PostgreSQL and Temporal to appear.

    Raises UnsupportedDatabase at once, since waiting does not help.
    """
    keep_compiled("orderkit.workflows")
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with AsyncExitStack() as stack:
        url, size = settings.database_url.get_secret_value(), settings.database_pool_size
        pool = await _patiently(lambda: stack.enter_async_context(open_pool(url, size, current=True)), stopped)
        spans = stack.enter_context(tracing(settings, "orderkit-worker"))
        client = await _patiently(lambda: connect_temporal(temporal, settings.worker_metrics, spans), stopped)
        if pool is None or client is None:
            return
        for worker in make_workers(client, pool, queues, settings.worker_slots, settings.build_id, settings.deployment):
            await stack.enter_async_context(worker)
        await ensure_schedule(client)
        collect_less()
        stack.callback(loop.create_task(collect_in_quiet()).cancel)
        logger.info(
            "worker ready", extra={"queues": list(queues), "identity": client.identity, "build": settings.build_id}
        )
        await stopped.wait()
        logger.info("worker stops")


async def _patiently(connect: Callable[[], Awaitable[T]], stopped: asyncio.Event) -> T | None:
    """Try until it works or the process is told to stop; say once why it waits."""
    told = ""
    while not stopped.is_set():
        try:
            return await connect()
        except UnsupportedDatabase:
            raise
        except DependencyUnavailable as error:
            if str(error) != told:
                told = str(error)
                logger.warning(told)
            await asyncio.sleep(0.1)
    return None
