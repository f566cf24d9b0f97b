"""How many attempts a worker takes at once: few that work, many that only wait.

Start-to-close counts from the moment a worker takes a task, so a worker that takes more than its machine can do makes
every attempt late, and lateness makes more attempts. A task that is not taken waits in Temporal's queue, where it costs
no attempt.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from temporalio.worker import (
    CustomSlotSupplier,
    SlotMarkUsedContext,
    SlotPermit,
    SlotReleaseContext,
    SlotReserveContext,
)


class _Permit(SlotPermit):
    """Of a poll, until it brings a task; then of that task."""

    def __init__(self, has_task: bool) -> None:
        self.has_task = has_task


class WorkingSlots(CustomSlotSupplier):
    """Slots of one queue: `working` for attempts that work, and `most` altogether.

    An attempt that waits for an answer needs no processor, so it lends its slot to the next one (`lent`). It takes
    no other back when it goes on: for a moment, more than `working` may work.

    A quiet worker has all its slots in polls. They do not count for a task that comes with a workflow task's answer
    ("eager"): it saves a poll, and belongs to an order that is on its way.
    """

    def __init__(self, working: int, most: int) -> None:
        self._limit = working
        self._most = most
        self._polls = 0
        self._working = 0
        self._waiting = 0
        self._guard = threading.Lock()  # Temporal's SDK takes and returns slots in its own threads
        self._freed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit:
        """Called before each poll; waits until a task may be taken."""
        self._loop = asyncio.get_running_loop()
        while (permit := self._reserve(for_poll=True)) is None:
            self._freed.clear()
            await self._freed.wait()
        return permit

    def try_reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit | None:
        """Called for a task that the server sends together with another answer."""
        return self._reserve(for_poll=False)

    def _reserve(self, for_poll: bool) -> SlotPermit | None:
        with self._guard:
            taken = self._working + (self._polls if for_poll else 0)
            if taken - self._waiting >= self._limit or self._polls + self._working >= self._most:
                return None
            if for_poll:
                self._polls += 1
            else:
                self._working += 1
        return _Permit(has_task=not for_poll)

    def mark_slot_used(self, ctx: SlotMarkUsedContext) -> None:
        """Called when a poll has brought a task."""
        permit = ctx.permit
        assert isinstance(permit, _Permit)
        with self._guard:
            if not permit.has_task:
                permit.has_task = True
                self._polls -= 1
                self._working += 1

    def release_slot(self, ctx: SlotReleaseContext) -> None:
        """Called when a task is done, or a poll brought none."""
        permit = ctx.permit
        assert isinstance(permit, _Permit)
        with self._guard:
            if permit.has_task:
                self._working -= 1
            else:
                self._polls -= 1
        self._tell()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """While an attempt waits for an answer."""
        with self._guard:
            self._waiting += 1
        self._tell()
        try:
            yield
        finally:
            with self._guard:
                self._waiting -= 1

    def _tell(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._freed.set)
