"""Brings the schema up to date, with pogo; safe to run from several processes at once."""

from __future__ import annotations

import logging

from pogo_core.util import migrate as pogo

from orderkit.store.compatibility import applied_migrations, check_schema, known_migrations
from orderkit.store.database import Connection, connect
from orderkit.store.queries import sql_folder

logger = logging.getLogger(__name__)
logger.addHandler(logging.NullHandler())  # pogo warns of each migration that it applies
_LOCK = 7_233_5432


async def pending(database_url: str) -> list[str]:
    """The migrations that are not applied yet."""
    connection = await connect(database_url)
    try:
        await check_schema(connection)
        applied = await applied_migrations(connection)
    finally:
        await connection.close()
    return [name for name in known_migrations() if name not in applied]


async def migrate(database_url: str) -> list[str]:
    """Apply what is pending, one process at a time; returns what was applied."""
    connection = await connect(database_url)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        await check_schema(connection)
        applied = await applied_migrations(connection)
        todo = [name for name in known_migrations() if name not in applied]
        if todo:
            await pogo.apply(connection, sql_folder() / "migrations", schema_name="public", logger=logger)
    finally:
        await connection.close()
    return todo


async def reset(database_url: str) -> None:
    """Drop everything orderkit made, and create it again. All orders are lost."""
    connection = await connect(database_url)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        await _roll_back(connection)
        await pogo.apply(connection, sql_folder() / "migrations", schema_name="public", logger=logger)
    finally:
        await connection.close()


async def drop(database_url: str) -> None:
    """Drop everything orderkit made, also its list of migrations: a backup has its own list."""
    connection = await connect(database_url)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        await _roll_back(connection)
        await connection.execute("DROP TABLE IF EXISTS _pogo_migration, _pogo_version")
    finally:
        await connection.close()


async def _roll_back(connection: Connection) -> None:
    await check_schema(connection)
    if await applied_migrations(connection):
        await pogo.rollback(connection, sql_folder() / "migrations", schema_name="public", logger=logger)
