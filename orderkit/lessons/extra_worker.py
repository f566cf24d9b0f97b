"""Lesson 01's extra worker: a process for one task queue, which ends with the notebook's kernel."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process

from orderkit.core.choices import check_choice
from orderkit.core.steps import ORDER_QUEUE, SHIPPING_QUEUE
from orderkit.lab.lab import Lab


class ExtraWorker:
    """A worker that serves one task queue; `await worker.dismiss()`."""

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


async def hire(lab: Lab, queue: str) -> ExtraWorker:
    """Start `orderkit worker --queue …` on the lab's servers, in place of one hired before; a Ctrl-C does not end it.

    Its standard input ends when the kernel is gone, however that died; then it ends, too.
    """
    check_choice("queue", queue, (ORDER_QUEUE, SHIPPING_QUEUE))
    command = [sys.executable, "-m", "orderkit", "worker", "--queue", queue, "--until-input-ends"]
    environment = await lab.workers.make_room(f"extra-{queue}") if lab.environment else dict(os.environ)
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL, start_new_session=True
    )
    return ExtraWorker(process)
