"""What learners' notebooks call, on the room's network: join, news, line, leave. Without the word there is only 401."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from pydantic import ValidationError
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from orderkit.api.guard import Guard
from orderkit.classroom.board import Board, Learner
from orderkit.classroom.limits import Limit
from orderkit.classroom.messages import Join, News, Seat
from orderkit.errors import LabError

MOST_BODY_BYTES = 1024
MOST_STREAMS = 8  # of one learner: each open lesson has one
NEWS_PER_SECOND, NEWS_AT_ONCE = 2.0, 30
WRONG_PER_SECOND, WRONG_AT_ONCE = 0.5, 20
_PING_SECONDS = 15

Message = TypeVar("Message", Join, News)
Answer = Callable[[Request], Awaitable[Response]]


class Room:
    """The board, who is connected to it, and how to wait for the instructor's next line."""

    def __init__(self, board: Board, word: str) -> None:
        self.board = board
        self.word = word
        self.present: Counter[str] = Counter()  # seats
        self._said = asyncio.Condition()

    async def call(self, lesson: str, round: str) -> str:
        """Say a line to every notebook; returns it."""
        text = self.board.call(lesson, round, time.time())
        await self.wake()
        return text

    async def remove(self, name: str) -> None:
        """Forget a learner, and free the name."""
        self.board.remove(name)
        await self.wake()

    async def wake(self) -> None:
        """Let every stream look again."""
        async with self._said:
            self._said.notify_all()

    async def lines(self, learner: Learner) -> AsyncIterator[ServerSentEvent]:
        """Each line that this learner has not heard, until they leave."""
        while learner.seat in self.board.learners:
            if line := self.board.line_for(learner, time.time()):
                yield ServerSentEvent(json.dumps({"text": line.text}), event="line", sep="\n")
            async with self._said:
                if learner.told >= self.board.line.number and learner.seat in self.board.learners:
                    await self._said.wait()


def make_learners_app(room: Room, host: str) -> ASGIApp:
    """The only thing that listens beyond loopback."""
    board, news_limit = room.board, Limit(NEWS_PER_SECOND, NEWS_AT_ONCE)

    async def join(request: Request) -> Response:
        if not hmac.compare_digest(_given(request.scope).encode(), room.word.encode()):
            return _strange()
        asked = await _read(request, Join)
        if isinstance(asked, Response):
            return asked
        try:
            learner = board.join(asked.name, request.headers.get("x-seat", ""), time.time())
        except LabError as error:
            return PlainTextResponse(str(error), 409)
        return JSONResponse(Seat(name=learner.name, seat=learner.seat).model_dump())

    async def news(request: Request, learner: Learner) -> Response:
        if not news_limit.take(learner.seat, time.monotonic()):
            return PlainTextResponse("slower, please", 429)
        heard = await _read(request, News)
        if isinstance(heard, Response):
            return heard
        board.hear(learner, heard, time.time())
        return Response(status_code=204)

    async def line(_: Request, learner: Learner) -> Response:
        if room.present[learner.seat] >= MOST_STREAMS:
            return PlainTextResponse("too many notebooks at once", 429)
        return EventSourceResponse(_present(room, learner), ping=_PING_SECONDS, sep="\n")

    async def leave(_: Request, learner: Learner) -> Response:
        board.leave(learner)
        await room.wake()
        return Response(status_code=204)

    def seated(answer: Callable[[Request, Learner], Awaitable[Response]]) -> Answer:
        async def checked(request: Request) -> Response:
            learner = board.learners.get(_given(request.scope))
            return await answer(request, learner) if learner else _strange()

        return checked

    routes = [
        Route("/join", join, methods=["POST"]),
        Route("/news", seated(news), methods=["POST"]),
        Route("/line", seated(line)),
        Route("/leave", seated(leave), methods=["POST"]),
    ]
    return Invited(Guard(Starlette(routes=routes), host, None), room)


class Invited:
    """ASGI middleware: whoever gives neither the word nor a seat gets 401, whatever they ask for."""

    def __init__(self, app: ASGIApp, room: Room) -> None:
        self._app = app
        self._room = room
        self._wrong = Limit(WRONG_PER_SECOND, WRONG_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Called by the server."""
        if scope["type"] == "http":
            await (self._refusal(scope) or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        caller, now = (scope.get("client") or ("",))[0], time.monotonic()
        given = _given(scope)
        if given in self._room.board.learners:
            return None
        if given and not self._wrong.has_left(caller, now):
            return PlainTextResponse("too many wrong words; wait a moment", 429)
        if hmac.compare_digest(given.encode(), self._room.word.encode()):
            return None
        if given:
            self._wrong.take(caller, now)
        return _strange()


async def _present(room: Room, learner: Learner) -> AsyncIterator[ServerSentEvent]:
    room.present[learner.seat] += 1
    room.board.version += 1
    try:
        async for event in room.lines(learner):
            yield event
    finally:
        room.present[learner.seat] -= 1
        room.board.version += 1


async def _read(request: Request, model: type[Message]) -> Message | Response:
    body = await request.body()
    if len(body) > MOST_BODY_BYTES:
        return PlainTextResponse(f"at most {MOST_BODY_BYTES} bytes", 413)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        return PlainTextResponse("; ".join(each["msg"] for each in error.errors()), 422)


def _given(scope: Scope) -> str:
    """The bearer token."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            return token.strip() if scheme.lower() == "bearer" else ""
    return ""


def _strange() -> Response:
    return PlainTextResponse("the board needs the class's word", 401, {"WWW-Authenticate": "Bearer"})
