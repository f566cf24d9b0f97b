"""Health, checked in the background every second, so that answering takes no time.

Live workers are told by their heartbeats (ListWorkers), which our workers send every second. The pollers that
DescribeTaskQueue lists cannot tell: an idle worker polls once a minute, and a killed one stays listed for five.
A worker counts while its heartbeats keep arriving, by this process's own clock, and say that it runs. Its first one
comes after a second or two; until a queue has any, a worker that polled in the last three seconds counts.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import TaskQueueType, WorkerStatus
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.worker.v1 import WorkerHeartbeat
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, ListWorkersRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from orderkit.api.backends import Backends
from orderkit.contract import DependencyHealth, Health
from orderkit.core.steps import ORDER_QUEUE, SHIPPING_QUEUE
from orderkit.errors import DependencyUnavailable, OrderkitError
from orderkit.store.status import check_schema

logger = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
_RPC = timedelta(seconds=1.5)
# A worker is gone when this many of its own heartbeat intervals went by, and a second for delays, without a heartbeat.
_MISSED_HEARTBEATS = 2.0
_SLACK_SECONDS = 1.0
_UNKNOWN_INTERVAL_SECONDS = 2.0  # until the second heartbeat tells; ours comes after one second
_FIRST_HEARTBEAT_SECONDS = 3.0  # a worker that has just polled has sent its first one by then, and the list has it


class WorkerRoll:
    """Which workers are alive, from the lists seen so far."""

    def __init__(self) -> None:
        self._last_heard: dict[
            str, tuple[int, float]
        ] = {}  # worker: (its heartbeat's own time, when we first saw that one)

    def alive(self, heartbeats: list[WorkerHeartbeat], wall: float, monotonic: float) -> dict[str, int]:
        """Live workers by task queue. Only a heartbeat from before we looked is judged by the worker's clock."""
        heard: dict[str, tuple[int, float]] = {}
        queues = dict.fromkeys((ORDER_QUEUE, SHIPPING_QUEUE), 0)
        for beat in heartbeats:
            stamp = beat.heartbeat_time.ToNanoseconds()
            before = self._last_heard.get(beat.worker_instance_key)
            if before is None:
                seen_at = monotonic - max(0.0, wall - stamp / 1e9)
            else:
                seen_at = monotonic if stamp != before[0] else before[1]
            heard[beat.worker_instance_key] = (stamp, seen_at)
            running = beat.status == WorkerStatus.WORKER_STATUS_RUNNING
            if beat.task_queue in queues and running and monotonic - seen_at <= _patience_seconds(beat):
                queues[beat.task_queue] += 1
        self._last_heard = heard
        return queues


class PollRoll:
    """Which workers have just asked a queue for tasks: they count until their first heartbeats can have come."""

    def __init__(self) -> None:
        self._last_polls: dict[str, dict[str, int]] = {}  # queue: {poller: its last poll, in the server's nanoseconds}
        self._seen_at: dict[str, dict[str, float]] = {}  # queue: {poller: when we saw that it had just polled}

    def fresh(self, queue: str, polls: dict[str, int], wall: float, monotonic: float) -> int:
        """How many polled a moment ago: since the last look, or, at the first one, within seconds by our clock."""
        before = self._last_polls.get(queue)
        self._last_polls[queue] = polls
        seen_at = self._seen_at.setdefault(queue, {})
        for poller, at in polls.items():
            polled = wall - at / 1e9 <= _UNKNOWN_INTERVAL_SECONDS if before is None else before.get(poller) != at
            if polled:
                seen_at[poller] = monotonic
        return sum(monotonic - at <= _FIRST_HEARTBEAT_SECONDS for at in seen_at.values())

    def forget(self, queue: str) -> None:
        """Heartbeats tell of this queue: what it was like before must not bring a dead worker back."""
        self._last_polls.pop(queue, None)
        self._seen_at.pop(queue, None)


def _patience_seconds(beat: WorkerHeartbeat) -> float:
    interval = beat.elapsed_since_last_heartbeat.ToTimedelta().total_seconds() or _UNKNOWN_INTERVAL_SECONDS
    return _MISSED_HEARTBEATS * interval + _SLACK_SECONDS


class HealthMonitor:
    """Keeps `latest` up to date."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends
        self._roll = WorkerRoll()
        self._polls = PollRoll()
        self._latest = _health(_away("not checked yet"), _away("not checked yet"), {})

    @property
    def latest(self) -> Health:
        """What the last check saw; degraded when the checks themselves stopped."""
        age = datetime.now(UTC) - self._latest.checked_at
        if age > timedelta(seconds=10 * CHECK_SECONDS):
            return self._latest.model_copy(update={"status": "degraded"})
        return self._latest

    async def run(self) -> None:
        """Check again and again, until cancelled."""
        while True:
            try:
                await self.check()
            except Exception:
                logger.exception("the health check failed")
            # While something is down, look more often, so that nobody waits for the next check.
            await asyncio.sleep(CHECK_SECONDS if self._latest.status == "ok" else CHECK_SECONDS / 5)

    async def check(self) -> None:
        """Look at everything once."""
        database, (temporal, pollers) = await asyncio.gather(self._check_database(), self._check_temporal())
        before, self._latest = self._latest, _health(database, temporal, pollers)
        if before.status != self._latest.status:
            logger.warning("health is %s", self._latest.status, extra={"health": self._latest.model_dump(mode="json")})

    async def _check_database(self) -> DependencyHealth:
        started = time.perf_counter()
        try:
            await self._backends.read(check_schema)
        except OrderkitError as error:
            return _away(str(error))
        return _there(started)

    async def _check_temporal(self) -> tuple[DependencyHealth, dict[str, int]]:
        started = time.perf_counter()
        try:
            client = self._backends.temporal
            alive = self._roll.alive(await _list_workers(client), time.time(), time.monotonic())
            for queue, heard in alive.items():
                if heard:
                    self._polls.forget(queue)
                else:
                    alive[queue] = self._polls.fresh(
                        queue, await _last_polls(client, queue), time.time(), time.monotonic()
                    )
        except DependencyUnavailable as error:
            return _away(str(error)), dict.fromkeys((ORDER_QUEUE, SHIPPING_QUEUE), 0)
        except RPCError as error:
            detail = f"Temporal does not answer ({error.status.name.lower()})"
            if error.status is RPCStatusCode.UNIMPLEMENTED:
                detail = "Temporal cannot list its workers; use server 1.29 or newer"
            return _away(detail), dict.fromkeys((ORDER_QUEUE, SHIPPING_QUEUE), 0)
        return _there(started), alive


async def _list_workers(client: Client) -> list[WorkerHeartbeat]:
    request = ListWorkersRequest(namespace=client.namespace, page_size=1_000)
    answer = await client.workflow_service.list_workers(request, timeout=_RPC)
    return [worker.worker_heartbeat for worker in answer.workers_info]


async def _last_polls(client: Client, queue: str) -> dict[str, int]:
    """When each poller last asked this queue for activities, in nanoseconds of the server's clock."""
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    )
    answer = await client.workflow_service.describe_task_queue(request, timeout=_RPC)
    return {poller.identity: poller.last_access_time.ToNanoseconds() for poller in answer.pollers}


def _there(started: float) -> DependencyHealth:
    return DependencyHealth(ok=True, latency_ms=round((time.perf_counter() - started) * 1_000, 2))


def _away(detail: str) -> DependencyHealth:
    return DependencyHealth(ok=False, detail=detail)


def _health(database: DependencyHealth, temporal: DependencyHealth, pollers: dict[str, int]) -> Health:
    fine = database.ok and temporal.ok and bool(pollers) and all(pollers.values())
    return Health(
        status="ok" if fine else "degraded",
        database=database,
        temporal=temporal,
        pollers=pollers,
        checked_at=datetime.now(UTC),
    )
