"""What a Temporal server knows of workflows."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

from temporalio.api.workflowservice.v1 import UnpauseActivityRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

_PAUSED = (
    "ExecutionStatus = 'Running' AND TemporalPauseInfo IS NOT NULL "
    "AND WorkflowType IN ('OrderWorkflow', 'ShippingWorkflow', 'ReconcileWorkflow')"
)


class TemporalWorkflows:
    """The Workflows port on a Temporal client."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def status(self, workflow_id: str, run_id: str | None = None) -> str:
        """Its last run's, or this run's: `running`, `completed` …; `missing` when Temporal has no such workflow."""
        try:
            description = await self._client.get_workflow_handle(workflow_id, run_id=run_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return "missing"
            raise
        return description.status.name.lower() if description.status else "running"

    async def end_pauses(self, now: datetime) -> None:
        """Unpause the activities whose time altogether was over before `now`, a moment of the server's clock.

        The server ends such an activity by itself, but not where the pause came while an attempt ran that then timed
        out. Nothing else would end it, and what it should do has to be done.
        """
        try:
            paused = [each.id async for each in self._client.list_workflows(_PAUSED, limit=1_000)]
        except RPCError:  # a server that does not list them, or is away: the rest of the pass matters more
            return
        for workflow_id in paused:
            with suppress(RPCError):  # it has ended meanwhile; the next pass looks again
                await self._end_pauses_of(workflow_id, now)

    async def _end_pauses_of(self, workflow_id: str, now: datetime) -> None:
        described = (await self._client.get_workflow_handle(workflow_id).describe()).raw_description
        for each in described.pending_activities:
            if each.paused and each.HasField("expiration_time") and each.expiration_time.ToDatetime(UTC) < now:
                request = UnpauseActivityRequest(
                    namespace=self._client.namespace, identity=self._client.identity, id=each.activity_id
                )
                request.execution.workflow_id = workflow_id
                await self._client.workflow_service.unpause_activity(request)
