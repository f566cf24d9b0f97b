"""What the worker buttons do."""

from __future__ import annotations

import asyncio

from orderkit.errors import OrderkitError
from orderkit.stack.controls import WorkerControl, told_others

ANNOUNCEMENTS = {
    "kill": "SIGKILL sent; waiting until new workers poll",
    "stop": "Stopping the workers",
    "start-worker": "Starting a worker",
}


async def control(button: str, workers: WorkerControl) -> str:
    """Do it, and return the new situation as a sentence; raises orderkit's errors."""
    match button:
        case "kill":
            await workers.kill()
            return "The workers were killed, and new ones poll"
        case "stop":
            await workers.stop()
            others = await asyncio.to_thread(lambda: workers.others)
            return told_others(others) if others else "No worker runs: orders wait"
        case _:
            await workers.start(1)
            return "One worker polls both task queues"


async def running(workers: WorkerControl) -> tuple[int, tuple[str, ...]]:
    """How many run, and the names of those beside them. In a thread: it takes a moment. None if no server answers."""
    try:
        return await asyncio.to_thread(lambda: (workers.count, tuple(workers.extra)))
    except OrderkitError:
        return 0, ()
