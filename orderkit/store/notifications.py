"""PostgreSQL's notifications: listeners hear of every event when it is committed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from orderkit.store.database import Connection, connect

CHANNEL = "trellis_events"


@dataclass(frozen=True)
class Notification:
    """An event was committed."""

    event_id: int
    order_id: str


@asynccontextmanager
async def listening(
    database_url: str, heard: Callable[[Notification], None], lost: Callable[[], None]
) -> AsyncIterator[Connection]:
    """A connection that calls `heard` for each event and `lost` when it breaks, until the block ends.

    Raises DependencyUnavailable. What was committed before is not told: read it inside the block.
    """

    def tell(_connection: Any, _pid: int, _channel: str, payload: Any) -> None:
        for event_id, order_id in json.loads(payload):
            heard(Notification(event_id, order_id))

    connection = await connect(database_url)
    try:
        connection.add_termination_listener(lambda *_: lost())
        await connection.add_listener(CHANNEL, tell)
        yield connection
    finally:
        connection.terminate()
