"""The stage's own small server: a page, a stream of pictures, and buttons. On loopback, with a token."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from orderkit.analysis.palette import ATTEMPT_COLOURS, SIGNS, ink_on
from orderkit.api.guard import Guard
from orderkit.api.http import open_listener, server_config
from orderkit.api.own_page import OwnPage
from orderkit.console.commands import next_ids
from orderkit.core.world import Service, ServiceState
from orderkit.stack.tcp_ports import LOOPBACK
from orderkit.stage.stage import Stage
from orderkit.stage.state import PROGRAMS
from orderkit.stage.story import WAITING_ORDERS, Story, tell

_PICTURES_APART_SECONDS = 0.1
_PICTURE_EVERY_SECONDS = 5.0  # at least: tells a page that the stage is there


def make_app(stage: Stage, story: Story | None, token: str, cookie: str) -> ASGIApp:
    """The page and what it calls."""

    own_page = OwnPage("orderkit.stage", "stage", cookie, token)

    async def stream(_: Request) -> Response:
        return EventSourceResponse(_pictures(stage, story), ping=15, sep="\n")

    async def kill(request: Request) -> str:
        program = request.path_params["program"]
        if program not in PROGRAMS:
            raise ValueError(f"no program {program!r}")
        return await stage.kill(program)

    async def switch(request: Request) -> str:
        return await stage.switch(Service(request.path_params["service"]), ServiceState(request.path_params["state"]))

    async def order(request: Request) -> str:
        count = int(request.path_params["count"])
        if count not in (1, WAITING_ORDERS):
            raise ValueError(f"1 or {WAITING_ORDERS} orders at once")
        names = next_ids("cup-1", [row["order_id"] for row in stage.orders], count)
        await asyncio.gather(*(stage.start(name) for name in names))
        return f"started {', '.join(names[:3])}{' …' if count > 3 else ''}"

    async def following(_: Request) -> str:
        return await story.next() if story else "no story is told here: orderkit demo --stage"

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with stage.running():
            yield

    routes = [
        *own_page.files(style_first=_colours()),
        Route("/stream", own_page.own(stream)),
        own_page.button("/kill/{program}", kill),
        own_page.button("/switch/{service}/{state}", switch),
        own_page.button("/orders/{count:int}", order),
        own_page.button("/next", following),
    ]
    return Guard(Starlette(routes=routes, lifespan=lifespan), LOOPBACK, None)


async def _pictures(stage: Stage, story: Story | None) -> AsyncIterator[ServerSentEvent]:
    version = -1
    while True:
        version = await stage.changed(version, _PICTURE_EVERY_SECONDS)
        picture = stage.picture() | {"story": story.picture() if story else None, "signs": SIGNS}
        yield ServerSentEvent(json.dumps(picture), event="picture", sep="\n")
        await asyncio.sleep(_PICTURES_APART_SECONDS)


def _colours() -> str:
    """The palette, as the page's variables."""
    named = (f"--{name}: {colour}; --{name}-ink: {ink_on(colour)};" for name, colour in ATTEMPT_COLOURS.items())
    return f":root {{ {' '.join(named)} }}\n"


class StageServer:
    """`server.url` is the page's address with its token; `await server.serve()` ends with Ctrl-C or `stop`."""

    def __init__(self, stage: Stage, *, story: bool = False, outage_seconds: float = 20, port: int = 0) -> None:
        token = secrets.token_urlsafe(24)
        self._listener = open_listener(LOOPBACK, port)
        port = self._listener.getsockname()[1]
        self.url = f"http://{LOOPBACK}:{port}/?token={token}"
        self.story = tell(stage, outage_seconds) if story else None
        app = make_app(stage, self.story, token, f"orderkit-stage-{port}")
        config = server_config(app)
        config.timeout_graceful_shutdown = 1
        config.lifespan = "on"
        self._server = uvicorn.Server(config)

    async def serve(self) -> None:
        """Until it is stopped."""
        with self._listener:
            await self._server.serve(sockets=[self._listener])

    def stop(self) -> None:
        """Let `serve` return."""
        self._server.should_exit = True
