"""Whether task queues already route by the last change of a deployment."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeWorkerDeploymentRequest,
    DescribeWorkerDeploymentVersionRequest,
)
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion

_LOOK_SECONDS = 0.05


async def until_routed(client: Client, version: WorkerDeploymentVersion) -> None:
    """Wait until the task queues of this build follow its deployment; until then new workflows may go either way.

    The deployment's own `routing_config_update_state` may stay *in progress* for ever (server 1.32).
    """
    found = await client.workflow_service.describe_worker_deployment_version(
        DescribeWorkerDeploymentVersionRequest(namespace=client.namespace, deployment_version=version._to_proto())
    )
    queues = {(each.name, each.type) for each in found.version_task_queues}
    while not await _routed(client, version.deployment_name, queues):  # noqa: ASYNC110 - it is in the server
        await asyncio.sleep(_LOOK_SECONDS)


async def _routed(client: Client, deployment: str, queues: Iterable[tuple[str, Any]]) -> bool:
    told = await client.workflow_service.describe_worker_deployment(
        DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=deployment)
    )
    wanted = told.worker_deployment_info.routing_config
    for name, kind in queues:
        found = await client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(namespace=client.namespace, task_queue=TaskQueue(name=name), task_queue_type=kind)
        )
        routes = found.versioning_info
        if (
            routes.current_deployment_version != wanted.current_deployment_version
            or routes.ramping_deployment_version != wanted.ramping_deployment_version
            or routes.ramping_version_percentage != wanted.ramping_version_percentage
        ):
            return False
    return True
