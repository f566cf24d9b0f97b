"""Start, stop and kill a lab's processes from a coroutine, and wait until what comes back serves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from orderkit.errors import LabError
from orderkit.stack.readiness import Readiness, health
from orderkit.stack.stack import Stack
from orderkit.stack.tcp_ports import LOOPBACK

SERVES_WITHIN_SECONDS = 30.0
_LOOK_SECONDS = 0.05

FindStack = Callable[[], Stack]  # raises LabError where the servers are not this lab's


@dataclass(frozen=True)
class ServerControl:
    """A server of the lab, called postgres, temporal or api."""

    name: str
    _stack: FindStack

    async def kill(self, *, wait: bool = True) -> None:
        """SIGKILL. Returns when the supervisor has replaced it and the new one serves, or at once without `wait`."""
        stack = self._stack()
        killed = await asyncio.to_thread(stack.kill, self.name)
        if wait:
            await asyncio.to_thread(stack.wait_running, self.name, other_than=killed)
            await _serving(stack, self.name)

    def __repr__(self) -> str:
        return f"{self.name}: {self._stack().supervisor.info(self.name).state}"


@dataclass(frozen=True)
class WorkerControl:
    """The worker processes, called worker-0, worker-1 …"""

    _stack: FindStack

    @property
    def count(self) -> int:
        """How many run."""
        return len(self._stack().workers())

    async def kill(self, *, wait: bool = True) -> None:
        """SIGKILL to each of them. Returns when new ones poll both task queues, or at once without `wait`."""
        stack = self._stack()
        names = _running(stack)
        killed = {name: await asyncio.to_thread(stack.kill, name) for name in names}
        if wait:
            for name, pid in killed.items():
                await asyncio.to_thread(stack.wait_running, name, other_than=pid)
            await _ready(stack).workers(names)

    async def stop(self) -> None:
        """Stop them gracefully, and for good: nobody polls the task queues until `start`."""
        stack = self._stack()
        await asyncio.gather(*(asyncio.to_thread(stack.stop_program, name) for name in stack.workers()))

    async def start(self, count: int = 1) -> None:
        """Let exactly this many run; returns when they poll both task queues."""
        stack = self._stack()
        names = await asyncio.to_thread(stack.scale_workers, count)
        await _ready(stack).workers(names)

    def __repr__(self) -> str:
        return f"{self.count} worker{'s' * (self.count != 1)}"


def _running(stack: Stack) -> list[str]:
    names = stack.workers()
    if not names:
        raise LabError("no worker runs; start one: await lab.workers.start()")
    return names


def _ready(stack: Stack) -> Readiness:
    return Readiness(stack, time.monotonic() + SERVES_WITHIN_SECONDS, lambda _: None)


async def _serving(stack: Stack, name: str) -> None:
    serves: dict[str, Callable[[], Awaitable[None]]] = {
        "postgres": lambda: _ready(stack).database(None),
        "temporal": _ready(stack).temporal,
        "api": lambda: _api_answers(stack),
    }
    await serves[name]()


async def _api_answers(stack: Stack) -> None:
    """Also a degraded one: what it lacks may have been stopped on purpose."""
    until = time.monotonic() + SERVES_WITHIN_SECONDS
    while not await asyncio.to_thread(health, LOOPBACK, stack.ports.api):
        if time.monotonic() > until:
            raise LabError(f"the API does not answer again; its log: {stack.log('api')}")
        await asyncio.sleep(_LOOK_SECONDS)
