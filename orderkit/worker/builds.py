"""Notes with each attempt which build made it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from orderkit.core.events import AttemptOutcome
from orderkit.core.ports import AttemptLog, AttemptRecord


@dataclass(frozen=True)
class BuildAttemptLog:
    """Another log, where the worker is called `laptop:123 green` instead of `laptop:123`."""

    log: AttemptLog
    build_id: str

    async def started(self, record: AttemptRecord, fault: str, limit_seconds: float | None) -> int:
        """See AttemptLog."""
        return await self.log.started(self._named(record), fault, limit_seconds)

    async def ended(self, record: AttemptRecord, outcome: AttemptOutcome, error: str) -> None:
        """See AttemptLog."""
        await self.log.ended(self._named(record), outcome, error)

    def _named(self, record: AttemptRecord) -> AttemptRecord:
        return replace(record, worker=f"{record.worker} {self.build_id}")


def build_in(worker: str) -> str:
    """The build in an attempt's worker, empty for one without."""
    return worker.partition(" ")[2]
