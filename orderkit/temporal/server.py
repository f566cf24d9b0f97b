"""Questions to a Temporal server: whether it serves, and which workers poll its task queues."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from orderkit.errors import DependencyUnavailable

if TYPE_CHECKING:
    from temporalio.api.worker.v1 import WorkerHeartbeat
    from temporalio.client import Client
    from temporalio.envconfig import ClientConnectConfig
    from temporalio.runtime import Runtime


async def connect_quietly(connection: ClientConnectConfig) -> Client:
    """A client that logs nothing; raises DependencyUnavailable within about a second when the server is away."""
    # Here and below, the SDK is imported late: it takes 0.3 s, in which `up` has other things to do.
    from temporalio.client import Client
    from temporalio.service import RetryConfig, RPCError

    retry = RetryConfig(max_elapsed_time_millis=1_000)
    try:
        return await Client.connect(**connection, runtime=quiet_runtime(), retry_config=retry)
    except (RuntimeError, RPCError) as error:  # the SDK raises these if no server answers, and if it refuses
        address = connection.get("target_host", "")
        raise DependencyUnavailable("temporal", f"Temporal does not answer at {address}") from error


@functools.cache
def quiet_runtime() -> Runtime:
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


async def pollers(client: Client, queue: str, since: datetime) -> dict[str, datetime]:
    """Who asked this queue for workflow tasks and activities since then, and when last.

    The server remembers the dead for minutes.

    Raises DependencyUnavailable.
    """
    from datetime import timedelta

    from temporalio.api.enums.v1 import TaskQueueType
    from temporalio.api.taskqueue.v1 import TaskQueue
    from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
    from temporalio.service import RPCError

    seen: list[dict[str, datetime]] = []
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
        last = {each.identity: each.last_access_time.ToDatetime(tzinfo=since.tzinfo) for each in answer.pollers}
        seen.append({identity: polled for identity, polled in last.items() if polled >= since})
    return {identity: max(polled, seen[1][identity]) for identity, polled in seen[0].items() if identity in seen[1]}


async def heartbeating(client: Client, queue: str, since: datetime) -> list[str]:
    """Whose workers of this queue have said since then that they run; none where the server keeps no heartbeats.

    Of several idle workers, `pollers` may miss one until its next poll: it waits at a part of the queue that the list
    does not show. Raises DependencyUnavailable.
    """
    return [beat.worker_identity for beat in await running_workers(client, since) if beat.task_queue == queue]


async def running_workers(client: Client, since: datetime) -> list[WorkerHeartbeat]:
    """The last heartbeat of each worker that has said since then that it runs; none where the server keeps none.

    Raises DependencyUnavailable.
    """
    from datetime import timedelta

    from temporalio.api.enums.v1 import WorkerStatus
    from temporalio.api.workflowservice.v1 import ListWorkersRequest
    from temporalio.service import RPCError, RPCStatusCode

    request = ListWorkersRequest(namespace=client.namespace, page_size=1_000)
    try:
        answer = await client.workflow_service.list_workers(request, timeout=timedelta(seconds=2))
    except RPCError as error:
        if error.status is RPCStatusCode.UNIMPLEMENTED:
            return []
        raise DependencyUnavailable("temporal", f"Temporal does not list its workers: {error.message}") from error
    beats = [worker.worker_heartbeat for worker in answer.workers_info]
    return [
        beat
        for beat in beats
        if beat.status == WorkerStatus.WORKER_STATUS_RUNNING
        and beat.heartbeat_time.ToDatetime(tzinfo=since.tzinfo) >= since
    ]


async def register_keywords(client: Client, names: Sequence[str]) -> list[str]:
    """Let lists be searched by these attributes; returns those that were new. Raises DependencyUnavailable."""
    from datetime import timedelta

    from temporalio.api.enums.v1 import IndexedValueType
    from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
    from temporalio.service import RPCError, RPCStatusCode

    operator, limit = client.operator_service, timedelta(seconds=5)
    try:
        asked = ListSearchAttributesRequest(namespace=client.namespace)
        known = (await operator.list_search_attributes(asked, timeout=limit)).custom_attributes
        missing = [name for name in names if name not in known]
        if missing:
            kinds = dict.fromkeys(missing, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD)
            added = AddSearchAttributesRequest(namespace=client.namespace, search_attributes=kinds)
            await operator.add_search_attributes(added, timeout=limit)
    except RPCError as error:
        if error.status is RPCStatusCode.ALREADY_EXISTS:  # another starter was quicker
            return []
        raise DependencyUnavailable("temporal", f"Temporal takes no search attributes: {error.message}") from error
    return missing
