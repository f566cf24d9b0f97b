"""Lesson 01's clerk: a worker process for one task queue, which goes home with the notebook's kernel."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process

# Its standard input ends when the kernel is gone, however that died. Then it has no employer, and leaves.
_WORK = """
import os, sys, threading

def leave_with_the_employer():
    sys.stdin.read()
    os._exit(0)

threading.Thread(target=leave_with_the_employer, daemon=True).start()
from orderkit.cli import main
main()
"""


class Clerk:
    """A worker at work; `await clerk.dismiss()`."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    async def dismiss(self) -> None:
        """Stop it gracefully; a second time does nothing."""
        if self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()


async def hire(queue: str) -> Clerk:
    """Start `orderkit worker --queue …`, in a session of its own: interrupting a cell is no business of the clerk's."""
    command = [sys.executable, "-c", _WORK, "worker", "--queue", queue]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL, start_new_session=True
    )
    return Clerk(process)
