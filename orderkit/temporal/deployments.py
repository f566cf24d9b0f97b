"""Worker Versioning: which build of the workers gets new orders, and moving a running order to another build.

A deployment has builds, and Temporal sends each new workflow to one of them: to the current build, or for a share of
them to the ramping one. Here every workflow is pinned: it stays on the build on which it began, until it is moved.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.deployment.v1 import WorkerDeploymentInfo
from temporalio.api.enums.v1 import WorkerDeploymentVersionStatus as Status
from temporalio.api.workflow.v1 import WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
    SetWorkerDeploymentRampingVersionRequest,
    UpdateWorkflowExecutionOptionsRequest,
)
from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.common import PinnedVersioningOverride, WorkerDeploymentVersion
from temporalio.service import RPCError, RPCStatusCode

from orderkit.core.builds import DEPLOYMENT, UNVERSIONED, check_build_id
from orderkit.errors import DependencyUnavailable, DeploymentRefused, OrderNotFound
from orderkit.temporal.routing import until_routed
from orderkit.temporal.server import running_workers

_CALL_SECONDS = 20.0  # on a busy machine a change takes the server seconds
_HEARTBEAT_SECONDS = 5.0  # ours come every second
_STATES = {
    Status.WORKER_DEPLOYMENT_VERSION_STATUS_CURRENT: "current",
    Status.WORKER_DEPLOYMENT_VERSION_STATUS_RAMPING: "ramping",
    Status.WORKER_DEPLOYMENT_VERSION_STATUS_DRAINING: "draining",
    Status.WORKER_DEPLOYMENT_VERSION_STATUS_DRAINED: "drained",
}


@dataclass(frozen=True)
class BuildStatus:
    """One build. `draining`: it gets no new workflows, and has open ones, or had some a minute ago."""

    build_id: str  # UNVERSIONED for the workers without a build id
    state: str  # current, ramping, draining, drained or inactive
    share: float  # percent of the new workflows
    running: int  # workflows that are on it now; as far as Temporal's lists have come
    workers: dict[str, int]  # that live, by task queue


class Deployment:
    """The builds of one deployment. Each call raises DependencyUnavailable, and DeploymentRefused with the reason."""

    def __init__(self, client: Client, name: str = DEPLOYMENT) -> None:
        self.client = client
        self.name = name

    async def status(self) -> list[BuildStatus]:
        """Every build that Temporal knows, oldest first, after the workers without one. Empty: none was ever seen."""
        info = await self._describe()
        if info is None:
            return []
        workers = await self._workers()
        routing = info.routing_config
        current, ramping = routing.current_deployment_version.build_id, routing.ramping_deployment_version.build_id
        ramped = routing.ramping_version_percentage if ramping else 0.0
        shares = Counter({current: 100.0 - ramped}) + Counter({ramping: ramped})
        states = {each.deployment_version.build_id: _STATES.get(each.status, "inactive") for each in _oldest(info)}
        states = {"": "inactive" if current else "current", **states}
        running = await asyncio.gather(*(self._running(build) for build in states))
        return [
            BuildStatus(build or UNVERSIONED, state, shares[build], count, dict(workers.get(build, {})))
            for (build, state), count in zip(states.items(), running, strict=True)
        ]

    async def ramp(self, build_id: str, percentage: float) -> None:
        """Send this share of the new workflows to a build, the others to the current one. 0 ends the ramp."""
        if not 0 <= percentage <= 100:
            raise DeploymentRefused(f"a ramp is 0 to 100 percent, not {percentage:g}")
        if percentage:
            await self._check_served(build_id)
        await self._ramp(build_id, percentage)

    async def _ramp(self, build_id: str, percentage: float) -> None:
        async with self._explained(f"ramp {build_id} to {percentage:g} %"):
            await self.client.workflow_service.set_worker_deployment_ramping_version(
                SetWorkerDeploymentRampingVersionRequest(
                    namespace=self.client.namespace,
                    deployment_name=self.name,
                    build_id=build_id if percentage else "",
                    percentage=percentage,
                    identity=self.client.identity,
                )
            )
        await self._settled(build_id)

    async def promote(self, build_id: str) -> None:
        """Send all new workflows to a build; those that run stay where they are."""
        await self._check_served(build_id)
        await self._set_current(build_id)

    async def roll_back(self) -> str:
        """End a ramp; without one, return to the last build that was current before. Returns who gets new workflows.

        Before the first build there were workers without one: UNVERSIONED.
        """
        info = await self._describe()
        if info is None:
            raise DeploymentRefused(f"deployment {self.name} has no builds, so there is nothing to roll back")
        routing = info.routing_config
        current = routing.current_deployment_version.build_id
        if ramping := routing.ramping_deployment_version.build_id:
            await self._ramp(ramping, 0)
            return current or UNVERSIONED
        if not current:
            raise DeploymentRefused(f"deployment {self.name} has no current build, so there is nothing to roll back")
        earlier = [each.deployment_version.build_id for each in _oldest(info) if each.HasField("last_current_time")]
        before = earlier[: earlier.index(current)] if current in earlier else []
        build_id = before[-1] if before else ""
        if build_id:
            await self._check_served(build_id)
        await self._set_current(build_id, current)
        return build_id or UNVERSIONED

    async def unset(self) -> None:
        """Send new workflows to the workers without a build id, and end a ramp, if there are builds at all."""
        info = await self._describe()
        if info is None:
            return
        if ramping := info.routing_config.ramping_deployment_version.build_id:
            await self._ramp(ramping, 0)
        if current := info.routing_config.current_deployment_version.build_id:
            await self._set_current("", current)

    async def move(self, workflow_id: str, build_id: str) -> list[str]:
        """Send a running workflow, and its children that run, to a build; returns their ids.

        The build's code must replay their histories: see worker.replay. Raises OrderNotFound.
        """
        await self._check_served(build_id)
        found = (await self._look(workflow_id)).raw_description
        moved = [workflow_id, *(child.workflow_id for child in found.pending_children)]
        override = PinnedVersioningOverride(WorkerDeploymentVersion(self.name, build_id))
        for each in moved:
            async with self._explained(f"move {each} to {build_id}", each):
                await self.client.workflow_service.update_workflow_execution_options(
                    UpdateWorkflowExecutionOptionsRequest(
                        namespace=self.client.namespace,
                        workflow_execution=WorkflowExecution(workflow_id=each),
                        workflow_execution_options=WorkflowExecutionOptions(versioning_override=override._to_proto()),
                        update_mask=FieldMask(paths=["versioning_override"]),
                        identity=self.client.identity,
                    )
                )
        return moved

    async def on(self, build_id: str) -> list[str]:
        """The ids of the workflows that run on a build now, without children; as far as Temporal's lists have come."""
        query = f"{self._query(build_id)} AND ParentWorkflowId IS NULL"
        async with self._explained(f"list the workflows of {build_id}"):
            return [each.id async for each in self.client.list_workflows(query)]

    async def unserved(self) -> list[str]:
        """Builds that get new workflows or have some, and have no worker; none where the server keeps no heartbeats."""
        return [
            each.build_id
            for each in await self.status()
            if each.build_id != UNVERSIONED and (each.share or each.running) and not each.workers
        ]

    async def _check_served(self, build_id: str) -> None:
        """Raise DeploymentRefused unless the build's workers live, on every queue on which the current build's do.

        Temporal checks that it has ever seen some, and goes on believing in dead ones for minutes.
        """
        if why := check_build_id(build_id):
            raise DeploymentRefused(why)
        info = await self._describe()
        known = [each.deployment_version.build_id for each in _oldest(info)] if info else []
        if build_id not in known:
            told = f"it knows {', '.join(known)}" if known else "it knows none"
            first = f"Start its worker first: {self._how_to(build_id)}"
            raise DeploymentRefused(f"deployment {self.name} has no build {build_id}; {told}. {first}")
        workers = await self._workers()
        current = info.routing_config.current_deployment_version.build_id if info else ""
        wanted = set(workers.get(current, {})) if current else set()
        served = set(workers.get(build_id, {}))
        if workers and (not served or wanted - served):
            queues = f"serves {', '.join(sorted(wanted - served))}" if served else "runs"
            raise DeploymentRefused(f"no worker of build {build_id} {queues}; start one: {self._how_to(build_id)}")

    def _how_to(self, build_id: str) -> str:
        deployment = f" --deployment {self.name}" if self.name != DEPLOYMENT else ""
        return f"orderkit worker --build-id {build_id}{deployment}"

    async def _set_current(self, build_id: str, before: str = "") -> None:
        async with self._explained(f"make {build_id or UNVERSIONED} the current build"):
            await self.client.workflow_service.set_worker_deployment_current_version(
                SetWorkerDeploymentCurrentVersionRequest(
                    namespace=self.client.namespace,
                    deployment_name=self.name,
                    build_id=build_id,
                    identity=self.client.identity,
                )
            )
        await self._settled(build_id or before)

    async def _settled(self, build_id: str) -> None:
        async with self._explained("tell the task queues of the change"):
            await until_routed(self.client, WorkerDeploymentVersion(self.name, build_id))

    async def _describe(self) -> WorkerDeploymentInfo | None:
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                found = await self.client.workflow_service.describe_worker_deployment(
                    DescribeWorkerDeploymentRequest(namespace=self.client.namespace, deployment_name=self.name)
                )
        except (RPCError, TimeoutError) as error:
            if isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise _away(error) from error
        return found.worker_deployment_info

    async def _look(self, workflow_id: str) -> WorkflowExecutionDescription:
        async with self._explained(f"look at {workflow_id}", workflow_id):
            return await self.client.get_workflow_handle(workflow_id).describe()

    async def _running(self, build_id: str) -> int:
        query = (
            self._query(build_id) if build_id else "ExecutionStatus = 'Running' AND TemporalWorkerDeployment IS NULL"
        )
        async with self._explained("count workflows"):
            return (await self.client.count_workflows(query)).count

    def _query(self, build_id: str) -> str:
        return f"ExecutionStatus = 'Running' AND TemporalWorkerDeploymentVersion = '{self.name}:{build_id}'"

    async def _workers(self) -> dict[str, Counter[str]]:
        """How many workers of each build live, by task queue; nothing where the server keeps no heartbeats."""
        found: dict[str, Counter[str]] = {}
        for each in await running_workers(self.client, datetime.now(UTC) - timedelta(seconds=_HEARTBEAT_SECONDS)):
            if each.deployment_version.deployment_name in ("", self.name):
                versioned = each.deployment_version.deployment_name == self.name
                build = each.deployment_version.build_id if versioned else ""
                found.setdefault(build, Counter())[each.task_queue] += 1
        return found

    @asynccontextmanager
    async def _explained(self, what: str, workflow_id: str = "") -> AsyncIterator[None]:
        """Turn an RPC's failure into one of orderkit's errors."""
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                yield
        except (RPCError, TimeoutError) as error:
            status = error.status if isinstance(error, RPCError) else None
            if workflow_id and status is RPCStatusCode.NOT_FOUND:
                raise OrderNotFound(f"Temporal knows no running workflow {workflow_id}") from error
            if status in (
                RPCStatusCode.NOT_FOUND,
                RPCStatusCode.FAILED_PRECONDITION,
                RPCStatusCode.INVALID_ARGUMENT,
                RPCStatusCode.UNIMPLEMENTED,
            ):
                raise DeploymentRefused(f"Temporal refuses to {what}: {error}") from error
            raise _away(error) from error


def build_of(description: WorkflowExecutionDescription) -> str:
    """The build that a workflow is on, empty where no worker with a build id has answered for it yet."""
    info: Any = description.raw_description.workflow_execution_info
    return str(info.versioning_info.deployment_version.build_id)


def _oldest(info: WorkerDeploymentInfo) -> Iterable[WorkerDeploymentInfo.WorkerDeploymentVersionSummary]:
    return sorted(info.version_summaries, key=lambda each: each.create_time.ToNanoseconds())


def _away(error: Exception) -> DependencyUnavailable:
    told = f" ({error.status.name.lower()})" if isinstance(error, RPCError) else f" within {_CALL_SECONDS:g} s"
    return DependencyUnavailable("temporal", f"Temporal does not answer{told}")
