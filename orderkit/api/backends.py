"""The connections of an API process, opened in the background: it starts and recovers while a server is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

from fastapi import Response
from temporalio.client import Client

from orderkit.api.replica import AGE, Replica
from orderkit.core.orders import OrderId
from orderkit.errors import DependencyUnavailable, UnsupportedDatabase
from orderkit.event_loops import end_tasks
from orderkit.settings import AT_ONCE
from orderkit.store.database import AWAY, REPLAY_CONFLICT, WRONG_SCHEMA, Pool, open_pool
from orderkit.temporal.orders import Turns

logger = logging.getLogger(__name__)
T = TypeVar("T")

READ_SECONDS = 1.5
_REPLICA_SECONDS = 0.5
_WATCH_SECONDS = 0.25
_NO_ANSWER: tuple[type[Exception], ...] = (*AWAY, *WRONG_SCHEMA, *REPLAY_CONFLICT)
_RETRY_SECONDS = 0.1


class Backends:
    """PostgreSQL and Temporal; each raises DependencyUnavailable until it has been reached once."""

    def __init__(self, starts_at_once: int = AT_ONCE) -> None:
        self.starts = Turns(starts_at_once)
        self.replica = Replica()
        self._pool: Pool | None = None
        self._unsupported: UnsupportedDatabase | None = None
        self._temporal: Client | None = None
        self._abandoned: set[asyncio.Future[Any]] = set()

    @property
    def pool(self) -> Pool:
        """The pool; it reconnects by itself."""
        if self._pool is None and self._unsupported is not None:
            raise self._unsupported
        if self._pool is None:
            raise DependencyUnavailable("postgresql", "PostgreSQL has not answered yet")
        return self._pool

    @property
    def temporal(self) -> Client:
        """The client; it reconnects by itself."""
        if self._temporal is None:
            raise DependencyUnavailable("temporal", "Temporal has not answered yet")
        return self._temporal

    async def read(self, query: Callable[[Pool], Awaitable[T]], within_seconds: float = READ_SECONDS) -> T:
        """Run a query on the pool, bounded in time; raises DependencyUnavailable."""
        try:
            return await self._bounded(query(self.pool), within_seconds)
        except AWAY as error:
            raise DependencyUnavailable("postgresql", f"PostgreSQL does not answer ({type(error).__name__})") from error
        except WRONG_SCHEMA as error:
            raise DependencyUnavailable(
                "postgresql", "PostgreSQL does not have this version's schema; run: orderkit db migrate"
            ) from error

    async def look(self, query: Callable[[Pool], Awaitable[T]], answer: Response, order_id: OrderId | None = None) -> T:
        """Read from the replica if there is one that may answer, else from the primary.

        Raises DependencyUnavailable.
        What came from the replica says its age in `answer`. Where the replica has nothing, the primary is asked. Where
        the primary is away, the replica answers, however old it is.
        """
        if self.replica.may_answer(order_id) and (found := await self._from_replica(query, answer)):
            return found
        try:
            return await self.read(query)
        except UnsupportedDatabase:
            raise
        except DependencyUnavailable:
            if found := await self._from_replica(query, answer):
                return found
            raise

    async def _from_replica(self, query: Callable[[Pool], Awaitable[T]], answer: Response) -> T | None:
        pool, age = self.replica.pool, self.replica.age_seconds
        if pool is None:
            return None
        try:
            found = await self._bounded(query(pool), _REPLICA_SECONDS)
        except _NO_ANSWER:
            self.replica.distrust()
            return None
        if found:
            answer.headers[AGE] = f"{age:.2f}"
        return found

    async def watch_replica(self) -> None:
        """Look for ever how old the replica is."""
        while True:
            try:
                await self.replica.watch(self._pool)
            except Exception:
                self.replica.distrust()
                logger.warning("looking at the read replica failed; trying again", exc_info=True)
            await asyncio.sleep(_WATCH_SECONDS)

    async def _bounded(self, query: Awaitable[T], within_seconds: float) -> T:
        """Raise TimeoutError in time: asyncpg's own end of a query on a server that hangs takes 10 s and more."""
        task = asyncio.ensure_future(query)
        try:
            done, _ = await asyncio.wait((task,), timeout=within_seconds)
        except asyncio.CancelledError:
            self._abandon(task)
            raise
        if not done:
            self._abandon(task)
            raise TimeoutError
        return task.result()

    def _abandon(self, task: asyncio.Future[Any]) -> None:
        task.cancel()
        self._abandoned.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Future[Any]) -> None:
        self._abandoned.discard(task)
        if not task.cancelled():
            task.exception()  # read the error, else asyncio logs that it was never retrieved

    @asynccontextmanager
    async def connecting(
        self, database_url: str, pool_size: int, connect_temporal: Callable[[], Awaitable[Client]]
    ) -> AsyncIterator[None]:
        """Reach for both servers in the background until they are there; close the pool at the end."""
        async with AsyncExitStack() as stack:

            async def open_own_pool() -> Pool:
                try:
                    return await stack.enter_async_context(open_pool(database_url, pool_size, current=True))
                except DependencyUnavailable as error:
                    # The last answer stands until the next one has come: what health said, each request says too.
                    self._unsupported = error if isinstance(error, UnsupportedDatabase) else None
                    raise

            async def reach_postgresql() -> None:
                self._pool = await _patiently(open_own_pool)

            async def reach_temporal() -> None:
                self._temporal = await _patiently(connect_temporal)

            tasks = [asyncio.create_task(reach_postgresql()), asyncio.create_task(reach_temporal())]
            # Both are there in a moment, as a rule: then the first request finds them.
            await asyncio.wait(tasks, timeout=0.5)
            try:
                yield
            finally:
                await end_tasks(*tasks)


async def _patiently(connect: Callable[[], Awaitable[T]]) -> T:
    last = ""
    while True:
        try:
            return await connect()
        except DependencyUnavailable as error:
            if str(error) != last:
                last = str(error)
                logger.warning(last, extra={"dependency": error.dependency})
            await asyncio.sleep(_RETRY_SECONDS)
