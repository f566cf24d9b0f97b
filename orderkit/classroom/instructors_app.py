"""The instructor's page and its buttons, on loopback: it shows the class, votes and times, and can say a line."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib import resources

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from orderkit.api.guard import Guard
from orderkit.classroom.learners_app import Room
from orderkit.classroom.picture import draw
from orderkit.errors import LabError

LOOPBACK = "127.0.0.1"
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src data:; frame-ancestors 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_PICTURES_APART_SECONDS = 0.5
_PICTURE_EVERY_SECONDS = 5.0  # at least: minutes go by, and the page sees that the board is there
Answer = Callable[[Request], Awaitable[Response]]


def make_instructors_app(room: Room, invitation: str, token: str, cookie: str) -> ASGIApp:
    """The page and what it calls; each call needs the token."""

    def own(answer: Answer) -> Answer:
        async def checked(request: Request) -> Response:
            given = request.query_params.get("token") or request.cookies.get(cookie, "")
            if not hmac.compare_digest(given.encode(), token.encode()):
                return PlainTextResponse("Open the address that the terminal shows.", 403, _HEADERS)
            return await answer(request)

        return checked

    def button(act: Callable[[Request], Awaitable[str]]) -> Answer:
        async def pressed(request: Request) -> Response:
            try:
                return JSONResponse({"said": await act(request)}, headers=_HEADERS)
            except LabError as error:
                return JSONResponse({"said": str(error)}, 409, _HEADERS)

        return own(pressed)

    async def page(_: Request) -> Response:
        response = Response(_file("page.html"), media_type="text/html", headers=_HEADERS)
        response.set_cookie(cookie, token, httponly=True, samesite="strict")
        return response

    async def style(_: Request) -> Response:
        return Response(_file("board.css"), media_type="text/css", headers=_HEADERS)

    async def script(_: Request) -> Response:
        return Response(_file("board.js"), media_type="text/javascript", headers=_HEADERS)

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
        Route("/", own(page)),
        Route("/board.css", own(style)),
        Route("/board.js", own(script)),
        Route("/stream", own(stream)),
        Route("/show/{lesson}/{round}", button(show), methods=["POST"]),
        Route("/hide/{lesson}/{round}", button(hide), methods=["POST"]),
        Route("/call/{lesson}/{round}", button(call), methods=["POST"]),
        Route("/remove/{name}", button(remove), methods=["POST"]),
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


def _file(name: str) -> str:
    return (resources.files("orderkit.classroom") / name).read_text("utf-8")
