"""What a lab's superuser does: the role that orderkit uses, and its database."""

from __future__ import annotations

import asyncpg

from orderkit.errors import SettingsError
from orderkit.store.database import AWAY, Connection, connect, port_of


async def is_serving(database_url: str) -> bool:
    """Whether PostgreSQL answers a query. Raises SettingsError if the role or the database does not exist."""
    try:
        connection = await asyncpg.connect(database_url, port=port_of(database_url), timeout=3)
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
        raise SettingsError(str(error)) from error
    except AWAY:
        return False
    try:
        return bool(await connection.fetchval("SELECT true", timeout=3))
    finally:
        connection.terminate()


async def make_database(superuser_url: str, role: str, password: str, database: str) -> None:
    """Create the role and its database, or give the role its password back; safe to repeat.

    Raises SettingsError when the superuser's password is not the server's.
    """
    try:
        connection = await asyncpg.connect(superuser_url, port=port_of(superuser_url), timeout=5)
    except asyncpg.InvalidPasswordError as error:
        raise SettingsError("this PostgreSQL does not accept the superuser's password") from error
    try:
        known = await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role)
        statement = "ALTER ROLE %I PASSWORD %L" if known else "CREATE ROLE %I LOGIN PASSWORD %L"
        await _execute(connection, statement, role, password)
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", database):
            await _execute(connection, "CREATE DATABASE %I OWNER %I", database, role)
    finally:
        await connection.close()


async def _execute(connection: Connection, template: str, first: str, second: str) -> None:
    """Run a statement that takes no parameters of its own; PostgreSQL does the quoting."""
    await connection.execute(
        await connection.fetchval("SELECT format($1, $2::text, $3::text)", template, first, second)
    )


async def count_orders(database_url: str) -> int:
    """How many orders a database has; 0 where there is no table for them. Raises DependencyUnavailable."""
    connection = await connect(database_url)
    try:
        if not await connection.fetchval("SELECT to_regclass('public.trellis_orders')"):
            return 0
        return int(await connection.fetchval("SELECT count(*) FROM trellis_orders"))
    finally:
        await connection.close()
