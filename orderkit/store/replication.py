"""How far a primary has written and a replica has replayed: positions in the write-ahead log, as numbers."""

from __future__ import annotations

from orderkit.store.database import Pool
from orderkit.store.queries import queries


async def primary_position(pool: Pool) -> int:
    """Up to where the primary has written; all that was committed before is below."""
    position: int = await queries.primary_position(pool)
    return position


async def replica_position(pool: Pool) -> int | None:
    """Up to where the replica has replayed; None where the server is no replica."""
    position: int | None = await queries.replica_position(pool)
    return position
