"""One pool per process, and connections of their own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import asyncpg

from orderkit.errors import DependencyUnavailable, UnsupportedDatabase
from orderkit.store.compatibility import check_current, check_schema, check_server

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

# What asyncpg raises while PostgreSQL is away, just back, or cannot do its work; trying again is right.
AWAY: tuple[type[Exception], ...] = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # it stops, starts, or a person ended the statement
    asyncpg.InsufficientResourcesError,  # connections, memory, disk
    asyncpg.PostgresSystemError,
    asyncpg.InternalClientError,
    asyncpg.InterfaceError,
)
# On a replica only: what it replays takes away rows that the statement reads.
REPLAY_CONFLICT: tuple[type[Exception], ...] = (asyncpg.SerializationError,)
# What it raises where the schema is not this version's.
WRONG_SCHEMA = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.UndefinedFunctionError)


async def _prepare(connection: Any) -> None:
    check_server(connection)
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")


async def _keep(_: Any) -> None:
    """Nothing to clean: our statements leave no session state, and asyncpg has rolled back what was left open.

    Its own way costs every statement a second round trip.
    """


def port_of(database_url: str) -> int | None:
    """The port of its one host. asyncpg must be told apart: it reads PGPORT before the URL's, and fails on several."""
    parts = urlsplit(database_url)
    return None if "," in parts.netloc else parts.port


async def connect(database_url: str) -> Connection:
    """One connection of its own, for listening and for migrations.

    Raises DependencyUnavailable, or UnsupportedDatabase where the server is too old.
    """
    try:
        connection = await asyncpg.connect(database_url, port=port_of(database_url), timeout=5)
    except AWAY as error:
        raise DependencyUnavailable(
            "postgresql", f"PostgreSQL does not answer ({str(error) or type(error).__name__})"
        ) from error
    try:
        await _prepare(connection)
    except UnsupportedDatabase:
        await connection.close()
        raise
    return connection


@asynccontextmanager
async def open_pool(database_url: str, size: int = 10, *, current: bool = False) -> AsyncIterator[Pool]:
    """A pool of at most `size` connections, each statement bounded to 10 s.

    Raises DependencyUnavailable, also where it is to be `current` and the schema is not; or UnsupportedDatabase where
    the server is too old or the schema too new.
    """
    pool = asyncpg.create_pool(
        database_url,
        port=port_of(database_url),
        min_size=1,
        max_size=size,
        init=_prepare,
        reset=_keep,
        command_timeout=10,
        timeout=5,
        server_settings={"jit": "off"},
    )
    try:
        await pool
        async with pool.acquire() as connection:
            await check_schema(connection)
            if current:
                await check_current(connection)
    except AWAY as error:
        pool.terminate()
        raise DependencyUnavailable(
            "postgresql", f"PostgreSQL does not answer ({str(error) or type(error).__name__})"
        ) from error
    except BaseException:
        pool.terminate()
        raise
    try:
        yield pool
    finally:
        try:
            await asyncio.wait_for(pool.close(), 2)
        except AWAY:
            pool.terminate()
