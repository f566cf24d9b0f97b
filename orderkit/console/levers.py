"""The worker switch: what it needs, and what its buttons do."""

from __future__ import annotations

import asyncio
from typing import Protocol

from orderkit.errors import OrderkitError

ANNOUNCEMENTS = {
    "kill": "SIGKILL sent; waiting until new workers poll",
    "stop": "Stopping the workers",
    "start-worker": "Starting a worker",
}


class Workers(Protocol):
    """The worker processes, as `lab.workers` is; `count` may block for a moment."""

    @property
    def count(self) -> int:
        """How many run."""

    async def kill(self) -> None:
        """SIGKILL to each; returns when new ones work."""

    async def stop(self) -> None:
        """Stop them for good."""

    async def start(self, count: int = 1) -> None:
        """Let that many run."""


async def pull(lever: str, workers: Workers) -> str:
    """Do it, and say what is so now; raises orderkit's errors."""
    match lever:
        case "kill":
            await workers.kill()
            return "The workers were killed, and new ones poll"
        case "stop":
            await workers.stop()
            return "No worker runs: orders wait where they are"
        case _:
            await workers.start(1)
            return "One worker polls both task queues"


async def count(workers: Workers) -> int:
    """In a thread: it asks the supervisor, which may take a moment. None run when nobody answers."""
    try:
        return await asyncio.to_thread(lambda: workers.count)
    except OrderkitError:
        return 0
