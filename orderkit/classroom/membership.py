"""A notebook's part in a class: what the learner does goes to the board, and the instructor's line comes back.

It has a thread and an event loop of its own. A cell neither waits for it nor fails with it, whatever the board does.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import httpx

from orderkit.classroom.invitation import Invitation
from orderkit.classroom.messages import Join, News, Seat
from orderkit.course.progress import Progress, Verdict, here, subscribe
from orderkit.errors import BoardRefused, LabError
from orderkit.event_loops import end_tasks

logger = logging.getLogger(__name__)

CELL_WAITS_SECONDS = 45.0  # the slowest cell of a lesson takes 30 s on a busy machine
_MOST_NEWS = 50  # kept while the board is away; then the oldest go
_TIMEOUT = httpx.Timeout(5.0)
_SILENCE_SECONDS = 40.0  # the board's stream says something every 15 s
_AGAIN_SECONDS, _MOST_AGAIN_SECONDS = 1.0, 30.0
_MOST_LINE_LETTERS = 200


def speak_to(invitation: Invitation) -> httpx.AsyncClient:
    """HTTP to the board; its headers say nothing about the learner or the machine."""
    return httpx.AsyncClient(
        base_url=invitation.url, timeout=_TIMEOUT, trust_env=False, headers={"User-Agent": "orderkit"}
    )


async def ask_for_seat(http: httpx.AsyncClient, invitation: Invitation, name: str, seat: str) -> Seat:
    """Join, or join again with the seat that one has. Raises BoardRefused, LabError or httpx.HTTPError."""
    headers = _bearer(invitation.word) | ({"X-Seat": seat} if seat else {})
    answer = await http.post("/join", json=Join(name=name).model_dump(), headers=headers)
    if answer.status_code == 401:
        raise BoardRefused("the board does not know this word; read it again from the instructor's board")
    if answer.status_code in (409, 422):
        raise BoardRefused(answer.text[:_MOST_LINE_LETTERS])
    if answer.status_code != 200:
        raise LabError(f"the board answered {answer.status_code}: {answer.text[:_MOST_LINE_LETTERS]}")
    return Seat.model_validate_json(answer.content)


class Membership:
    """From `start` to `stop`; `tell` and the rest may be called from any thread, and return at once."""

    def __init__(self, invitation: Invitation, seat: Seat, keep: Callable[[Seat | None], None]) -> None:
        """`keep` is called with a new seat, or with None when the class is over for this learner."""
        self.invitation = invitation
        self.seat = seat
        self._keep = keep
        self._outbox: deque[News] = deque(maxlen=_MOST_NEWS)
        self._line = ""
        self._troubled = False  # the board was told that a cell waits, or that a wait gave up
        self._timer: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._run, name="orderkit-class", daemon=True)
        self._begun = threading.Event()
        self._unsubscribe: Callable[[], None] = lambda: None

    def start(self) -> None:
        """From now on the board hears."""
        self._thread.start()
        self._begun.wait(5)
        self._unsubscribe = subscribe(self.tell)
        if here().lesson:
            self.tell(here())

    def stop(self) -> None:
        """Nothing is sent any more; waits a moment for the thread."""
        self._unsubscribe()
        self._soon(lambda: self._stopped.set())
        self._thread.join(2)

    def tell(self, progress: Progress) -> None:
        """Send this as soon as the board can be reached."""
        self._soon(lambda: self._put(progress))

    def cell_begins(self) -> None:
        """If it takes long, the board hears that."""
        self._soon(self._set_timer)

    def cell_ends(self, expired: bool) -> None:
        """`expired`: a wait in it gave up."""
        self._soon(lambda: self._cell_ended(expired))

    def take_line(self) -> str:
        """What the instructor said since the last time; empty if nothing."""
        line, self._line = self._line, ""
        return line

    # -- on the thread

    def _soon(self, call: Callable[[], None]) -> None:
        with suppress(RuntimeError, AttributeError):  # the thread has ended
            self._loop.call_soon_threadsafe(call)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception:
            logger.info("the class's board hears nothing any more", exc_info=True)  # no cell shall show it

    async def _main(self) -> None:
        self._stopped, self._news, self._rejoining = asyncio.Event(), asyncio.Event(), asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._begun.set()
        async with speak_to(self.invitation) as http:
            tasks = [asyncio.create_task(each) for each in (self._send(http), self._listen(http))]
            await self._stopped.wait()
            await end_tasks(*tasks)

    def _put(self, progress: Progress) -> None:
        with suppress(ValueError):  # a round that only this version of the course has
            self._outbox.append(News.of(progress))
            self._news.set()

    def _set_timer(self) -> None:
        self._clear_timer()
        self._timer = self._loop.call_later(CELL_WAITS_SECONDS, self._judge, Verdict.WAITING)

    def _clear_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _cell_ended(self, expired: bool) -> None:
        self._clear_timer()
        if expired:
            self._judge(Verdict.EXPIRED)
        elif self._troubled:
            self._judge(Verdict.GOING)

    def _judge(self, verdict: Verdict) -> None:
        self._troubled = verdict is not Verdict.GOING
        self._put(Progress(here().lesson, here().round, verdict=verdict))

    async def _send(self, http: httpx.AsyncClient) -> None:
        patience = _Patience()
        while await self._news.wait():
            while self._outbox:
                news = self._outbox.popleft()
                if await self._deliver(http, news):
                    patience = _Patience()
                    continue
                if len(self._outbox) < _MOST_NEWS:
                    self._outbox.appendleft(news)
                await patience.wait()
            self._news.clear()

    async def _deliver(self, http: httpx.AsyncClient, news: News) -> bool:
        """Whether it need not be sent again."""
        seat = self.seat.seat
        try:
            body = news.model_dump(mode="json", exclude_defaults=True)
            answer = await http.post("/news", json=body, headers=_bearer(seat))
        except httpx.HTTPError:
            return False
        if answer.status_code == 401:
            await self._rejoin(http, seat)
            return False
        return answer.status_code != 429 and answer.status_code < 500

    async def _listen(self, http: httpx.AsyncClient) -> None:
        patience = _Patience()
        silence = httpx.Timeout(5.0, read=_SILENCE_SECONDS)
        while True:
            seat = self.seat.seat
            with suppress(httpx.HTTPError, ValueError, KeyError, TypeError):
                async with http.stream("GET", "/line", headers=_bearer(seat), timeout=silence) as stream:
                    if stream.status_code == 401:
                        await self._rejoin(http, seat)
                    if stream.status_code == 200:
                        patience = _Patience()
                        async for line in stream.aiter_lines():
                            if line.startswith("data:"):
                                self._line = str(json.loads(line[5:])["text"])[:_MOST_LINE_LETTERS]
            await patience.wait()

    async def _rejoin(self, http: httpx.AsyncClient, unknown: str) -> None:
        """The board was started anew, or this learner has left in another notebook."""
        async with self._rejoining:
            if self.seat.seat != unknown:
                return
            try:
                self.seat = await ask_for_seat(http, self.invitation, self.seat.name, unknown)
                self._keep(self.seat)
            except BoardRefused:
                self._keep(None)
                self._unsubscribe()
                self._stopped.set()
            except (LabError, httpx.HTTPError, ValueError, OSError):
                return


class _Patience:
    """Longer each time, and not at the same moment as everybody else."""

    def __init__(self) -> None:
        self._seconds = _AGAIN_SECONDS

    async def wait(self) -> None:
        await asyncio.sleep(self._seconds * random.uniform(0.5, 1))
        self._seconds = min(2 * self._seconds, _MOST_AGAIN_SECONDS)


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
