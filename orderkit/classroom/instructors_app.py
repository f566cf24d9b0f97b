"""The instructor's page and its buttons, on loopback: it shows the class, votes and times, and can say a line."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from orderkit.api.guard import Guard
from orderkit.api.own_page import OwnPage
from orderkit.classroom.learners_app import Room
from orderkit.classroom.picture import draw

LOOPBACK = "127.0.0.1"
_PICTURES_APART_SECONDS = 0.5
_PICTURE_EVERY_SECONDS = 5.0  # at least: minutes go by, and the page sees that the board is there


def make_instructors_app(room: Room, invitation: str, token: str, cookie: str) -> ASGIApp:
    """The page and what it calls; each call needs the token."""

    own_page = OwnPage("orderkit.classroom", "board", cookie, token)

    async def stream(_: Request) -> Response:
        return EventSourceResponse(_pictures(room, invitation), ping=15, sep="\n")

    async def show(request: Request) -> str:
        lesson, round = request.path_params["lesson"], request.path_params["round"]
        room.board.show(lesson, round, True)
        return f"everybody who sees this page sees the votes of {lesson}, {round}"

    async def hide(request: Request) -> str:
        lesson, round = request.path_params["lesson"], request.path_params["round"]
        room.board.show(lesson, round, False)
        return f"the votes of {lesson}, {round} are hidden"

    async def call(request: Request) -> str:
        return await room.call(request.path_params["lesson"], request.path_params["round"])

    async def remove(request: Request) -> str:
        name = request.path_params["name"]
        await room.remove(name)
        return f"{name} is removed"

    routes = [
        *own_page.files(),
        Route("/stream", own_page.own(stream)),
        own_page.button("/show/{lesson}/{round}", show),
        own_page.button("/hide/{lesson}/{round}", hide),
        own_page.button("/call/{lesson}/{round}", call),
        own_page.button("/remove/{name}", remove),
    ]
    return Guard(Starlette(routes=routes), LOOPBACK, None)


async def _pictures(room: Room, invitation: str) -> AsyncIterator[ServerSentEvent]:
    version, drawn = -1, 0.0
    while True:
        if room.board.version != version or time.monotonic() - drawn > _PICTURE_EVERY_SECONDS:
            version, drawn = room.board.version, time.monotonic()
            picture = draw(room.board, room.present, time.time()) | {"invitation": invitation}
            yield ServerSentEvent(json.dumps(picture), event="picture", sep="\n")
        await asyncio.sleep(_PICTURES_APART_SECONDS)
