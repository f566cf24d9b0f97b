"""Start, stop and kill a lab's processes from a coroutine, and wait until what comes back serves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass

import psutil

from orderkit.errors import LabError
from orderkit.stack.environment import inherited_environment
from orderkit.stack.processes import label
from orderkit.stack.programs import SERVERS
from orderkit.stack.readiness import Readiness, health, other_pollers
from orderkit.stack.stack import Stack
from orderkit.stack.tcp_ports import LOOPBACK

SERVES_WITHIN_SECONDS = 30.0
_LOOK_SECONDS = 0.05

FindStack = Callable[[], Stack]  # raises LabError where the servers are not this lab's
Announce = Callable[[str], AbstractAsyncContextManager[None]]  # tells the person what a long wait is for


Tell = Callable[[str], None]  # tells the person a sentence that stays


def _unheard(_: str) -> None:
    """For callers that show nothing."""


def _to_nobody(_: str) -> AbstractAsyncContextManager[None]:
    return nullcontext()


@dataclass(frozen=True)
class ServerControl:
    """A server of the lab, called postgres, temporal or api."""

    name: str  #: postgres, temporal or api
    _stack: FindStack
    _announce: Announce = _to_nobody
    _tell: Tell = _unheard

    async def kill(self, *, wait: bool = True, away_seconds: float = 0) -> None:
        """SIGKILL. Returns when the supervisor has replaced it and the new one serves, or at once without `wait`.

        The supervisor replaces it at once, or after `away_seconds`, which are waited for. A server elsewhere is not
        killed: the cell says why, and the notebook goes on.
        """
        stack = self._stack()
        if stack.elsewhere and (why := await asyncio.to_thread(stack.elsewhere.spared, self.name)):
            self._tell(why)
            return
        killed = await asyncio.to_thread(stack.kill, self.name, restart=not away_seconds)
        if away_seconds:
            try:
                async with self._announce(f"{self.name} is away for {away_seconds:g} s"):
                    await asyncio.sleep(away_seconds)
            finally:
                stack.start_program(self.name)
        if wait:
            async with self._announce(f"Waiting until {self.name} serves again"):
                await asyncio.to_thread(stack.wait_running, self.name, other_than=killed)
                await _serving(stack, self.name)

    def __repr__(self) -> str:
        stack = self._stack()
        if stack.elsewhere and self.name in SERVERS:
            return f"{self.name}: {stack.elsewhere.states()[self.name]}, at {stack.elsewhere.places()[self.name]}"
        return f"{self.name}: {stack.supervisor.info(self.name).state}"


@dataclass(frozen=True)
class WorkerControl:
    """The worker processes, called worker-0, worker-1 …"""

    _stack: FindStack
    _announce: Announce = _to_nobody
    _tell: Tell = _unheard

    @property
    def count(self) -> int:
        """How many run."""
        return len(self._stack().workers())

    @property
    def extra(self) -> list[str]:
        """The names of workers beside the lab's own, which a notebook or a person started; then those of `others`."""
        return sorted({label(process) for process in self._stack().extra()}) + self.others

    @property
    def others(self) -> list[str]:
        """The names of workers on servers elsewhere that are not this lab's. They poll the same queues, and go on."""
        return other_pollers(self._stack())

    async def kill(self, *, wait: bool = True) -> None:
        """SIGKILL to each of them, extra ones too. Returns when new ones poll both task queues, or at once."""
        stack = self._stack()
        for process in await asyncio.to_thread(stack.extra):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        names = _running(stack)
        killed = {name: await asyncio.to_thread(stack.kill, name) for name in names}
        if wait:
            async with self._announce("Waiting until new workers poll both task queues"):
                for name, pid in killed.items():
                    await asyncio.to_thread(stack.wait_running, name, other_than=pid)
                await _ready(stack).workers(names)

    async def stop(self) -> None:
        """Stop them gracefully, extra ones too, and for good: no worker polls the task queues until `start`.

        But `others` may: then it says so.
        """
        stack = self._stack()
        own = (asyncio.to_thread(stack.stop_program, name) for name in stack.workers())
        async with self._announce("Waiting until the workers have stopped"):
            await asyncio.gather(asyncio.to_thread(stack.end_extra), *own)
            others = await asyncio.to_thread(other_pollers, stack)
        if others:
            self._tell(told_others(others))

    async def start(self, count: int = 1) -> None:
        """Let exactly this many run, and no extra ones; returns when they poll both task queues."""
        stack = self._stack()
        async with self._announce("Waiting until the workers poll both task queues"):
            await asyncio.to_thread(stack.end_extra)
            names = await asyncio.to_thread(stack.scale_workers, count)
            await _ready(stack).workers(names)

    async def make_room(self, name: str) -> dict[str, str]:
        """End the extra worker of this name, if there is one; returns the environment for the next."""
        stack = self._stack()
        async with self._announce(f"Waiting until {name} has stopped"):
            await asyncio.to_thread(stack.end_extra, name)
        return inherited_environment() | stack.environment_of_extra(name)

    def __repr__(self) -> str:
        return told_workers(self.count, self.extra)


def told_workers(count: int, extra: Sequence[str]) -> str:
    """`1 worker`, `0 workers and extra-order-tq`."""
    return " and ".join([f"{count} worker{'s' * (count != 1)}", *extra])


def told_others(others: Sequence[str]) -> str:
    """Explains why orders may go on although the lab's own workers have stopped."""
    return (
        f"No worker of this lab runs, but somebody else's poll its task queues, or did a minute ago: "
        f"{', '.join(others)}. Stop them where they run, for example with docker compose stop worker"
    )


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
    """Wait until the API answers, even as degraded: a lesson may have stopped a server on purpose."""
    until = time.monotonic() + SERVES_WITHIN_SECONDS
    while not await asyncio.to_thread(health, LOOPBACK, stack.ports.api):
        if time.monotonic() > until:
            raise LabError(f"the API does not answer again; its log: {stack.log('api')}")
        await asyncio.sleep(_LOOK_SECONDS)
