"""The least that a status costs over HTTP: FastAPI with the same read of the database, served alike, and nothing else.

`orderkit bench api` measures the API's status against it; a process of its own, as the API is.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import uvicorn
from fastapi import FastAPI

from orderkit.api.http import listen, server_config
from orderkit.core.orders import OrderId
from orderkit.settings import Settings
from orderkit.store.database import Pool, open_pool
from orderkit.store.status import order_status


def create_baseline(settings: Settings) -> FastAPI:
    """One route, which answers with the row as it is; nothing is validated, checked or counted."""
    pools: list[Pool] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with open_pool(settings.database_url.get_secret_value(), settings.database_pool_size) as pool:
            pools.append(pool)
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/orders/{order_id}/status")
    async def status(order_id: OrderId) -> dict[str, Any]:
        row = await order_status(pools[0], order_id)
        return dict(row) if row else {}

    return app


@asynccontextmanager
async def running_baseline(settings: Settings) -> AsyncIterator[tuple[str, int]]:
    """Where it answers, in a process of its own on the same database."""
    with listen("127.0.0.1", 0) as listener:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", __spec__.name, str(listener.fileno())),
            pass_fds=[listener.fileno()],
            env=os.environ | {"ORDERKIT_DATABASE_URL": settings.database_url.get_secret_value()},
            stdin=asyncio.subprocess.DEVNULL,
        )
        host, port = listener.getsockname()[:2]
    try:
        yield host, port
    finally:
        with suppress(ProcessLookupError):  # it has ended already
            process.terminate()
        await process.wait()


if __name__ == "__main__":
    uvicorn.Server(server_config(create_baseline(Settings()))).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])
