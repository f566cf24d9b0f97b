"""What asyncio leaves to its callers: resources that belong to one of several loops, and tasks that must end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_CANCEL_AGAIN_SECONDS = 0.5  # a second cancellation would also interrupt a task that is closing its connection


async def end_tasks(*tasks: asyncio.Task[Any]) -> None:
    """Cancel them until each has ended, whatever with.

    Once is not always enough, since a library can lose a cancellation: asyncpg's pool does while it closes a connection
    that its `init` refused, and `asyncio.wait_for` before Python 3.12 does when what it waits for ends just then.
    """
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=_CANCEL_AGAIN_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)  # else asyncio complains that nobody looked at their errors


@dataclass
class _Opened(Generic[T]):
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    holder: AsyncGenerator[T, None] | None = None
    resource: T | None = None


class PerLoop(Generic[T]):
    """One resource for each running loop, since a connection belongs to the loop that opened it.

    It is opened when it is first asked for; a loop closes its own when it shuts down.

    After `aclose` the next `get` opens it again.
    """

    def __init__(self, open_: Callable[[], AbstractAsyncContextManager[T]]) -> None:
        self._open = open_
        self._opened: dict[asyncio.AbstractEventLoop, _Opened[T]] = {}

    async def get(self) -> T:
        """The running loop's resource; the same one each time, until it is closed."""
        for loop in [loop for loop in self._opened if loop.is_closed()]:
            del self._opened[loop]
        opened = self._opened.setdefault(asyncio.get_running_loop(), _Opened())
        async with opened.lock:
            if opened.holder is None or opened.resource is None:
                holder = self._hold(opened)
                opened.resource = await anext(holder)
                opened.holder = holder
            return opened.resource

    async def aclose(self) -> None:
        """Close the running loop's resource; other loops close theirs."""
        opened = self._opened.get(asyncio.get_running_loop())
        if opened is not None and opened.holder is not None:
            await opened.holder.aclose()

    async def _hold(self, opened: _Opened[T]) -> AsyncGenerator[T, None]:
        """A generator, because `asyncio.run` closes those that are open before it closes its loop."""
        try:
            async with self._open() as resource:
                with suppress(GeneratorExit):
                    yield resource
        finally:
            opened.holder = opened.resource = None
