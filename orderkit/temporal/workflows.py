"""What a Temporal server knows of workflows."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode


class TemporalWorkflows:
    """The Workflows port on a Temporal client."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def status(self, workflow_id: str) -> str:
        """`running`, `completed`, `terminated` …; `missing` when Temporal has no such workflow."""
        try:
            description = await self._client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return "missing"
            raise
        return description.status.name.lower() if description.status else "running"
