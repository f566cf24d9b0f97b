"""A read replica: how old what it knows is, and which reads may be answered from it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from orderkit.core.orders import OrderId
from orderkit.errors import DependencyUnavailable
from orderkit.event_loops import end_tasks
from orderkit.store.database import AWAY, Pool, open_pool
from orderkit.store.replication import primary_position, replica_position

logger = logging.getLogger(__name__)

AGE = "X-Orderkit-Data-Age"  # seconds; in each answer that came from the replica
MAX_AGE_SECONDS = 2.0  # older than this, the primary is asked, unless it is away
_LOOK_SECONDS = 0.25
_PATIENCE_SECONDS = 1.0
_MOST_POSITIONS = 2_000  # eight minutes: a replica that is further behind has an unknown age


class Replica:
    """Compares positions in the write-ahead log, so that no two machines' clocks meet.

    At `t` the primary had written up to a position. Once the replica has replayed that position, it knows all that was
    committed before `t`: it is as of `t`.
    """

    def __init__(self) -> None:
        self._pool: Pool | None = None
        self._as_of: float | None = None  # monotonic; None: nobody knows
        self._written: deque[tuple[float, int]] = deque(maxlen=_MOST_POSITIONS)
        self._touched: dict[OrderId, float] = {}
        self._state = ""

    @property
    def pool(self) -> Pool | None:
        """The pool, while it may be read at all."""
        return self._pool if self._as_of is not None else None

    @property
    def age_seconds(self) -> float:
        """How long ago the moment was of which the replica knows everything."""
        return time.monotonic() - self._as_of if self._as_of is not None else float("inf")

    def touch(self, order_id: OrderId) -> None:
        """This process has just changed the order, or told of it: answers from before that would look wrong."""
        if self._state:  # there is a replica
            self._touched[order_id] = time.monotonic()

    def may_answer(self, order_id: OrderId | None) -> bool:
        """Whether it is young enough; for one order also, whether it knows what this process did to it."""
        if self.pool is None or self.age_seconds > MAX_AGE_SECONDS:
            return False
        touched = self._touched.get(order_id) if order_id else None
        return touched is None or (self._as_of is not None and self._as_of >= touched)

    def distrust(self) -> None:
        """It did not answer: not to be asked until the next look."""
        self._as_of = None

    @asynccontextmanager
    async def connecting(self, database_url: str, pool_size: int) -> AsyncIterator[None]:
        """Hold a pool, opened in the background and again after it broke."""
        self._tell("is not reached yet")
        async with AsyncExitStack() as stack:
            opening = asyncio.create_task(self._open(stack, database_url, pool_size))
            try:
                yield
            finally:
                await end_tasks(opening)

    async def _open(self, stack: AsyncExitStack, database_url: str, pool_size: int) -> None:
        while True:
            try:
                self._pool = await stack.enter_async_context(open_pool(database_url, pool_size))
            except DependencyUnavailable as error:
                self._tell(f"does not answer ({error})")
                await asyncio.sleep(_LOOK_SECONDS)
            else:
                return

    async def watch(self, primary: Pool | None) -> None:
        """Look once at both positions."""
        if self._pool is None:
            return
        if primary is not None:
            began = time.monotonic()
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    self._written.append((began, await primary_position(primary)))
            except AWAY:
                pass  # the replica's age grows, as it should
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                replayed = await replica_position(self._pool)
        except AWAY as error:
            self._as_of = None
            self._tell(f"does not answer ({type(error).__name__})")
            return
        if replayed is None:
            self._as_of = None
            self._tell("is no replica (any more): it was promoted, or it is a primary; nothing is read from it")
            return
        self._tell("answers")
        self._as_of = max((when for when, written in self._written if written <= replayed), default=None)
        if self._as_of is not None:
            as_of = self._as_of
            self._touched = {order: when for order, when in self._touched.items() if when > as_of}

    def _tell(self, state: str) -> None:
        if state != self._state:
            self._state = state
            logger.log(logging.INFO if state == "answers" else logging.WARNING, "the read replica %s", state)
