"""Server-sent events: pushed by PostgreSQL's notifications, resumed by event id."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from fastapi import APIRouter, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from orderkit.api import lookup
from orderkit.api.backends import Backends
from orderkit.api.parameters import LastEventId, OrderIdPath
from orderkit.api.problems import documented
from orderkit.api.reads import to_event
from orderkit.contract import Event, StreamEnd
from orderkit.core.events import EventType
from orderkit.core.orders import ENDS, OrderId, OrderState
from orderkit.core.steps import Step
from orderkit.errors import DependencyUnavailable
from orderkit.store.events import Reader
from orderkit.store.notifications import Notification, listening
from orderkit.store.status import order_identity

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 10
# Two writers of one order may commit in another order than their event ids: look that many ids back for a late one.
_OVERLAP_IDS = 1_000
_MOST_EVENTS = 5 * _OVERLAP_IDS
_TEXT = {"type": "string"}
_MESSAGE = {  # of each one
    "type": "object",
    "properties": {
        "event": {"enum": ["event", "end"]},
        "id": _TEXT,
        "data": _TEXT | {"contentMediaType": "application/json"},
    },
    "required": ["event", "data"],
}
# A closed order's last step still has to note its own end.
_LAST_WORDS_SECONDS = 0.5
_LISTEN_AGAIN_SECONDS = 0.3


class Listener:
    """One LISTEN connection for all streams of this process."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def news_of(self, order_id: OrderId) -> Iterator[asyncio.Event]:
        """An event that is set whenever the order may have news."""
        news = asyncio.Event()
        self._waiting[order_id].add(news)
        try:
            yield news
        finally:
            self._waiting[order_id].discard(news)
            if not self._waiting[order_id]:
                del self._waiting[order_id]

    async def run(self) -> None:
        """Listen until cancelled. After a break every stream reads again, since notifications were missed."""
        while True:
            broken = asyncio.Event()
            try:
                async with listening(self._database_url, self._heard, broken.set):
                    self._wake_all()
                    await broken.wait()
            except DependencyUnavailable:
                pass
            except Exception:
                logger.warning("listening to PostgreSQL failed; trying again", exc_info=True)
            await asyncio.sleep(_LISTEN_AGAIN_SECONDS)

    def _heard(self, notification: Notification) -> None:
        for news in self._waiting.get(notification.order_id, ()):
            news.set()

    def _wake_all(self) -> None:
        for waiting in self._waiting.values():
            for news in waiting:
                news.set()


def stream_routes(backends: Backends, listener: Listener) -> APIRouter:
    """GET /orders/{order_id}/stream."""
    router = APIRouter(tags=["orders"])

    @router.get(
        "/orders/{order_id}/stream",
        response_class=EventSourceResponse,
        responses={
            200: {
                "description": "Server-sent events: `event` with its id and an Event; at last `end` with a StreamEnd.",
                "content": {"text/event-stream": {"schema": _MESSAGE}},
            },
            204: {"description": "The order has ended and you have all its events; don't connect again."},
            **documented(404),
        },
    )
    async def order_stream(order_id: OrderIdPath, last_event_id: LastEventId = None) -> Response:
        """An order's events as they happen, from its first or from where you were; ends when the order has ended."""
        last_id = int(last_event_id or 0)
        known = await lookup.status(backends, order_id)
        if known.outcome and not await _events(backends, order_id, last_id):
            return Response(status_code=204)
        messages = _messages(backends, listener, order_id, last_id)
        return EventSourceResponse(messages, ping=KEEP_ALIVE_SECONDS, ping_message_factory=_ping, sep="\n")

    return router


def _ping() -> ServerSentEvent:
    return ServerSentEvent(comment="still here", sep="\n")


async def _messages(
    backends: Backends, listener: Listener, order_id: OrderId, first_id: int
) -> AsyncIterator[ServerSentEvent]:
    sent: set[int] = set()
    last_id = first_id
    state, had_ended = OrderState.RECEIVED, False
    with listener.news_of(order_id) as news:
        while True:
            news.clear()
            try:
                state = await _state(backends, order_id)
                events = await _events(backends, order_id, max(first_id, last_id - _OVERLAP_IDS))
            except DependencyUnavailable:
                await _wait(news, _LISTEN_AGAIN_SECONDS)
                continue
            backends.replica.touch(order_id)
            for event in events:
                if event.id not in sent:
                    sent.add(event.id)
                    last_id = max(last_id, event.id)
                    yield ServerSentEvent(event.model_dump_json(), event="event", id=str(last_id), sep="\n")
            if len(events) == _MOST_EVENTS:
                continue
            if state in ENDS and (had_ended or _is_complete(events)):
                break
            had_ended = state in ENDS
            await _wait(news, _LAST_WORDS_SECONDS if had_ended else KEEP_ALIVE_SECONDS)
    yield ServerSentEvent(StreamEnd(state=state.value).model_dump_json(), event="end", sep="\n")


async def _wait(news: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        pass


async def _events(backends: Backends, order_id: OrderId, after: int) -> list[Event]:
    rows = await backends.read(lambda pool: Reader(pool).events(order_id, after, _MOST_EVENTS))
    return [to_event(row) for row in rows]


async def _state(backends: Backends, order_id: OrderId) -> OrderState:
    found = await backends.read(lambda pool: order_identity(pool, order_id))
    return found.state if found else OrderState.RECEIVED


def _is_complete(events: list[Event]) -> bool:
    """Whether the last step has noted its end."""
    return bool(events) and events[-1].type == EventType.STEP_ENDED and events[-1].step in (Step.SHIP, Step.CLOSE)
