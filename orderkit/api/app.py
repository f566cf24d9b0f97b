"""The composition root of the API: settings in, a FastAPI application out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Response
from fastapi_offline import FastAPIOffline
from temporalio.client import Client

from orderkit import __version__
from orderkit.api.backends import Backends
from orderkit.api.failing import FailingWatch
from orderkit.api.guard import Guard, check_key
from orderkit.api.head import AnswerHead
from orderkit.api.health import HealthMonitor
from orderkit.api.messages import signal_routes, update_routes
from orderkit.api.metrics import CountRequests, Totals, make_registry, metrics_routes
from orderkit.api.problems import MEDIA_TYPE, documented, handle_errors
from orderkit.api.reads import read_routes
from orderkit.api.start import start_routes
from orderkit.api.stream import Listener, stream_routes
from orderkit.contract import Health
from orderkit.event_loops import end_tasks
from orderkit.settings import Settings, address_of_port, path_of_port

_DESCRIPTION = """Start orders, steer them and see how they ended.

Every error is `application/problem+json`; `type` names it, `detail` says what to do.
A 503 names the `dependency` that is away."""


def create_app(settings: Settings, connect: Callable[[], Awaitable[Client]]) -> FastAPI:
    """The API; it starts and recovers by itself while a server is away. `connect` reaches Temporal.

    Raises SettingsError where strangers could call it without a key.
    """
    url = settings.database_url.get_secret_value()
    key = settings.api_key
    check_key(settings.api_host, key)
    backends, listener = Backends(settings.starts_at_once), Listener(url)
    monitor, totals, watch = HealthMonitor(backends), Totals(backends), FailingWatch(backends)
    registry = make_registry(totals, monitor, watch)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as opened:
            await opened.enter_async_context(backends.connecting(url, settings.database_pool_size, connect))
            work = [monitor.run(), listener.run(), watch.run()]
            if read_url := settings.database_read_url:
                replica = backends.replica.connecting(read_url.get_secret_value(), settings.database_pool_size)
                await opened.enter_async_context(replica)
                work.append(backends.watch_replica())
            await monitor.check()
            tasks = [asyncio.create_task(each) for each in work]
            try:
                yield
            finally:
                await end_tasks(*tasks)

    app = FastAPIOffline(
        redoc_url=None,
        title="orderkit",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        root_path=path_of_port(settings.public_url, settings.api_port),
        openapi_tags=[
            {"name": "orders", "description": "Start orders and read their state."},
            {"name": "signals", "description": "Send a message to a running order; its status shows the effect."},
            {"name": "updates", "description": "Send a message to a running order and hear the answer."},
            {"name": "health", "description": "The health of database, Temporal and workers."},
        ],
    )
    handle_errors(app)
    routers = (start_routes, read_routes, signal_routes, update_routes)
    for routes in routers:
        app.include_router(routes(backends))
    app.include_router(stream_routes(backends, listener))
    app.include_router(_health_routes(monitor))
    app.include_router(metrics_routes(totals, registry))
    app.add_middleware(AnswerHead)
    public_url = settings.public_url and address_of_port(settings.public_url, settings.api_port)
    app.add_middleware(Guard, host=settings.api_host, api_key=key, public_url=public_url)
    app.add_middleware(CountRequests, registry=registry)
    _finish_openapi(app, with_key=key is not None)
    return app


def _health_routes(monitor: HealthMonitor) -> APIRouter:
    router = APIRouter(tags=["health"])
    degraded: dict[int | str, dict[str, Any]] = {
        503: {"model": Health, "description": "something is away; the body says what"}
    }

    @router.get("/health", responses=documented() | degraded)
    async def health(response: Response) -> Health:
        """What the background check saw last: it looks every second."""
        latest = monitor.latest
        response.status_code = 200 if latest.status == "ok" else 503
        response.headers["Cache-Control"] = "no-store"
        return latest

    return router


def _finish_openapi(app: FastAPI, with_key: bool) -> None:
    """Say what FastAPI's `responses` cannot: errors are problem+json, and there may be a key."""
    document = app.openapi()
    for path in document["paths"].values():
        for call in path.values():
            for answer in call["responses"].values():
                content = answer.get("content", {})
                if content.get("application/json", {}).get("schema", {}).get("$ref", "").endswith("/ProblemDocument"):
                    content[MEDIA_TYPE] = content.pop("application/json")
    if with_key:
        schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["ApiKey"] = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
        document["security"] = [{"ApiKey": []}]
        document["paths"]["/health"]["get"]["security"] = []
