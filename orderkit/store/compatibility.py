"""Which PostgreSQL, and which schema in it, this version of orderkit can work with."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from pogo_core.util import sql as pogo_sql

from orderkit.errors import DependencyUnavailable, UnsupportedDatabase
from orderkit.store.queries import sql_folder

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]

OLDEST_POSTGRESQL = 15


def check_server(connection: Connection) -> None:
    """Raise UnsupportedDatabase where PostgreSQL is too old. Costs nothing: the server says its version at log-in."""
    version = connection.get_server_version()
    if version.major < OLDEST_POSTGRESQL:
        raise UnsupportedDatabase(
            f"PostgreSQL here is version {version.major}.{version.minor}, orderkit needs {OLDEST_POSTGRESQL} or newer",
            "use a newer server, or move this one's data with pg_upgrade",
        )


async def check_current(connection: Connection) -> None:
    """Raise DependencyUnavailable where a migration is still to come: statements of this version would fail."""
    if missing := set(known_migrations()) - await applied_migrations(connection):
        raise DependencyUnavailable(
            "postgresql", f"the schema lacks {', '.join(sorted(missing))}; bring it up to date: orderkit db migrate"
        )


async def check_schema(connection: Connection) -> None:
    """Raise UnsupportedDatabase where a newer orderkit has changed the schema."""
    if unknown := await applied_migrations(connection) - set(known_migrations()):
        raise UnsupportedDatabase(
            f"a newer orderkit has changed this database (it applied {', '.join(sorted(unknown))})",
            "use that version of orderkit, or another database or ORDERKIT_HOME",
        )


def known_migrations() -> list[str]:
    """The migrations of this version, in their order."""
    return sorted(path.stem for path in (sql_folder() / "migrations").glob("*.sql"))


async def applied_migrations(connection: Connection) -> set[str]:
    """The migrations that this database has seen."""
    # Null where there is no such table, and false for a role that may not read it.
    if not await connection.fetchval("SELECT has_table_privilege(to_regclass('public._pogo_migration'), 'SELECT')"):
        return set()
    return set(await pogo_sql.get_applied_migrations(connection, schema_name="public"))  # type: ignore[arg-type]
