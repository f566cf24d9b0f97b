"""A worker of a build beside the lab's own: a process that ends with the one that started it."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import threading
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Mapping, Sequence

from orderkit.errors import DependencyUnavailable, LabError
from orderkit.temporal.deployments import Deployment

_COMMAND = ("orderkit", "worker", "--until-input-ends")
_SERVES_WITHIN_SECONDS = 30.0
_LOOK_SECONDS = 0.1


def end_with_input() -> None:
    """End this process at once when the process at the other end of standard input is gone, however it died."""

    def wait() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


class BuildWorker:
    """A worker process of one build."""

    def __init__(self, build_id: str, process: Process) -> None:
        self.build_id = build_id
        self._process = process

    @property
    def runs(self) -> bool:
        """Whether the process is there."""
        return self._process.returncode is None

    async def stop(self) -> None:
        """Stop it gracefully; a second time does nothing."""
        if self.runs:
            self._process.terminate()
            await self._process.wait()


async def start_build(
    deployment: Deployment,
    build_id: str,
    queues: Sequence[str],
    environment: Mapping[str, str],
    command: Sequence[str] = _COMMAND,
) -> BuildWorker:
    """Start a worker process of a build with this environment; returns when it polls these queues.

    `command` must end when its standard input does, which is when this process is gone, however it died. Raises
    LabError with the end of what the worker has said.
    """
    told = {"ORDERKIT_BUILD_ID": build_id, "ORDERKIT_DEPLOYMENT": deployment.name}
    with tempfile.TemporaryFile() as said:
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", *command],
            env={**environment, **told},
            stdin=PIPE,
            stdout=said,
            stderr=STDOUT,
            start_new_session=True,
        )
        worker = BuildWorker(build_id, process)
        try:
            async with asyncio.timeout(_SERVES_WITHIN_SECONDS):
                while not await _serves(deployment, build_id, queues):
                    if not worker.runs:
                        said.seek(0)
                        last = said.read().decode(errors="replace").strip()[-1_000:]
                        raise LabError(f"the worker of build {build_id} has ended. It said: {last}")
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            raise LabError(
                f"the worker of build {build_id} does not serve {', '.join(queues)} within {_SERVES_WITHIN_SECONDS:g} s"
            ) from None
        finally:
            if sys.exception():
                await worker.stop()
    return worker


async def _serves(deployment: Deployment, build_id: str, queues: Sequence[str]) -> bool:
    try:
        found = {build.build_id: build.workers for build in await deployment.status()}
    except DependencyUnavailable:
        return False
    return build_id in found and set(queues) <= set(found[build_id])
