"""The connections of an API process, opened in the background: it starts and recovers while a server is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

import asyncpg
from temporalio.client import Client

from orderkit.errors import DependencyUnavailable
from orderkit.store.database import AWAY, Pool, open_pool

logger = logging.getLogger(__name__)
T = TypeVar("T")

READ_SECONDS = 1.5
_RETRY_SECONDS = 0.3
_WRONG_SCHEMA = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.UndefinedFunctionError)


class Backends:
    """PostgreSQL and Temporal; each raises DependencyUnavailable until it has been reached once."""

    def __init__(self) -> None:
        self._pool: Pool | None = None
        self._temporal: Client | None = None

    @property
    def pool(self) -> Pool:
        """The pool; it reconnects by itself."""
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
            async with asyncio.timeout(within_seconds):
                return await query(self.pool)
        except AWAY as error:
            raise DependencyUnavailable("postgresql", f"PostgreSQL does not answer ({type(error).__name__})") from error
        except _WRONG_SCHEMA as error:
            raise DependencyUnavailable(
                "postgresql", "PostgreSQL does not have this version's schema; run: orderkit db migrate"
            ) from error

    @asynccontextmanager
    async def connecting(
        self, database_url: str, pool_size: int, connect_temporal: Callable[[], Awaitable[Client]]
    ) -> AsyncIterator[None]:
        """Reach for both servers in the background until they are there; close the pool at the end."""
        async with AsyncExitStack() as stack:

            async def reach_postgresql() -> None:
                self._pool = await _patiently(lambda: stack.enter_async_context(open_pool(database_url, pool_size)))

            async def reach_temporal() -> None:
                self._temporal = await _patiently(connect_temporal)

            tasks = [asyncio.create_task(reach_postgresql()), asyncio.create_task(reach_temporal())]
            # Both are there in a moment, as a rule: then the first request finds them.
            await asyncio.wait(tasks, timeout=0.5)
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


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
