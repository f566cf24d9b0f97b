"""Every table, view and column, with its comment: from a PostgreSQL that is migrated for it and ended again."""

from __future__ import annotations

import asyncio
import tempfile
from itertools import groupby
from pathlib import Path
from typing import Any

import asyncpg

from orderkit.stack.lifecycle import down, up
from orderkit.store.migrations import migrate
from reference.markup import anchored, code, sentence, table

COLUMNS = """
SELECT
    CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || c.relname AS relation,
    CASE c.relkind WHEN 'v' THEN 'view' ELSE 'table' END AS kind,
    coalesce(obj_description(c.oid, 'pg_class'), '') AS about_relation,
    a.attname AS name,
    format_type(a.atttypid, a.atttypmod) AS type,
    a.attnotnull OR c.relkind = 'v' AS filled,
    coalesce(col_description(c.oid, a.attnum), '') AS about
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'v') AND (n.nspname = 'world' OR c.relname LIKE 'trellis%')
ORDER BY n.nspname, c.relkind, c.relname, a.attnum
"""
PRIMARY_KEYS = """
SELECT
    CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || c.relname AS relation,
    pg_get_constraintdef(k.oid) AS definition
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE k.contype = 'p' AND (n.nspname = 'world' OR c.relname LIKE 'trellis%')
"""


async def read(database_url: str) -> tuple[list[Any], dict[str, str]]:
    """The rows of COLUMNS, and each table's primary key."""
    connection = await asyncpg.connect(database_url)
    try:
        keys = {row["relation"]: row["definition"] for row in await connection.fetch(PRIMARY_KEYS)}
        return await connection.fetch(COLUMNS), keys
    finally:
        await connection.close()


def read_fresh() -> tuple[list[Any], dict[str, str]]:
    """The same, of a database of its own; takes some seconds."""
    with tempfile.TemporaryDirectory(prefix="orderkit-docs-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / ".orderkit"
        try:
            stack = up(home, programs=("postgres",), migrate=migrate, preferred={})
            return asyncio.run(read(stack.database_url))
        finally:
            down(home)


def markdown() -> str:
    """A heading for each table and view, what it holds, and its columns."""
    columns, keys = read_fresh()
    parts = []
    for (relation, kind, about), rows in groupby(
        columns, lambda row: (row["relation"], row["kind"], row["about_relation"])
    ):
        cells = [
            [
                anchored(row["name"], f"{relation}.{row['name']}"),
                code(_short(row["type"])) + ("" if row["filled"] else ", may be NULL"),
                sentence(row["about"]),
            ]
            for row in rows
        ]
        key = f" Its key: {code(keys[relation].removeprefix('PRIMARY KEY '))}." if relation in keys else ""
        parts.append(
            f"## {relation}\n\nA {kind}. {sentence(about)}{key}\n\n{table(['column', 'type', 'what it holds'], cells)}"
        )
    return "\n\n".join(parts)


def _short(type_name: str) -> str:
    return "timestamptz" if type_name == "timestamp with time zone" else type_name
