"""What a full class costs its board: `orderkit bench class`. Simulated learners over real HTTP, the board a process."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

import httpx
import psutil

from orderkit.course.plan import rounds
from orderkit.errors import LabError
from orderkit.event_loops import end_tasks
from orderkit.stack.processes import memory_mb

_SERVE = """
import asyncio, json, sys
from pathlib import Path
from orderkit.classroom.server import BoardServer
server = BoardServer("127.0.0.1", 0, Path(sys.argv[1]) / "class.json")
print(json.dumps([server.invitation.word, server.invitation.url, server.page_url]), flush=True)
asyncio.run(server.serve())
"""
_LESSON = "03"
_ALONE_CALLS = 25  # fewer than the board takes at once


@dataclass(frozen=True)
class ClassCost:
    """The board's process, while so many learners are connected and the instructor's page is open."""

    learners: int
    messages: int
    messages_a_second: float
    failed: int
    cpu_percent: float  # of one processor
    memory_mb: float
    alone_p50_ms: float  # a message of one learner, when nobody else is there
    p50_ms: float
    p99_ms: float
    line_heard: int  # by how many learners
    line_seconds: float  # from the click until the last of them


@dataclass
class _Room:
    http: httpx.AsyncClient
    word: str
    page_url: str
    process: psutil.Process
    times: list[float] = field(default_factory=list)
    failed: int = 0
    heard: list[float] = field(default_factory=list)

    async def join(self, number: int) -> dict[str, str]:
        """The headers of a new learner."""
        answer = await self.http.post("/join", json={"name": f"Learner {number}"}, headers=_bearer(self.word))
        return _bearer(answer.raise_for_status().json()["seat"])

    async def tell(self, seat: dict[str, str], **news: str) -> None:
        begin = time.perf_counter()
        try:
            answer = await self.http.post("/news", json={"lesson": _LESSON} | news, headers=seat)
            self.failed += answer.status_code != 204
        except httpx.HTTPError:
            self.failed += 1
        self.times.append((time.perf_counter() - begin) * 1000)

    async def listen(self, seat: dict[str, str], ready: asyncio.Event | None = None) -> None:
        async with self.http.stream("GET", "/line", headers=seat) as stream:
            if ready:
                ready.set()
            async for line in stream.aiter_lines():
                if line.startswith("data:"):
                    self.heard.append(time.perf_counter())


async def measure(folder: Path, learners: int = 200, seconds: float = 30, every_seconds: float = 5) -> ClassCost:
    """Each learner tells something every so many seconds; a real one does so once a minute. Raises LabError."""
    async with _opened(folder) as room, _page(room) as page:
        first = await room.join(0)
        for _ in range(_ALONE_CALLS):
            await room.tell(first, round="1")
            await asyncio.sleep(0.01)
        alone, room.times = median(room.times[5:]), []
        seats = [first, *[await room.join(number) for number in range(1, learners)]]
        ready = [asyncio.Event() for _ in seats]
        streams = [asyncio.create_task(room.listen(*each)) for each in zip(seats, ready, strict=True)]
        await asyncio.gather(*(each.wait() for each in ready))
        cpu, begin = sum(room.process.cpu_times()[:2]), time.perf_counter()
        lives = [_live(room, seat, number, seconds, every_seconds) for number, seat in enumerate(seats)]
        said = asyncio.create_task(_say(room, page, seconds / 2))
        await asyncio.gather(*lives, said)
        taken = time.perf_counter() - begin
        used = sum(room.process.cpu_times()[:2]) - cpu
        await end_tasks(*streams)
        return ClassCost(
            learners=learners,
            messages=len(room.times),
            messages_a_second=len(room.times) / taken,
            failed=room.failed,
            cpu_percent=100 * used / taken,
            memory_mb=memory_mb(room.process.pid),
            alone_p50_ms=alone,
            p50_ms=median(room.times),
            p99_ms=quantiles(room.times, n=100)[98],
            line_heard=len(room.heard),
            line_seconds=max(room.heard, default=said.result()) - said.result(),
        )


async def _live(room: _Room, seat: dict[str, str], number: int, seconds: float, every_seconds: float) -> None:
    """A learner goes through the lesson: question, prediction, next question."""
    draw, end = random.Random(number), time.perf_counter() + seconds
    names = rounds(_LESSON)
    await asyncio.sleep(draw.uniform(0, every_seconds))
    step = 0
    while time.perf_counter() < end:
        news = {"prediction": draw.choice("abc")} if step % 2 else {}
        await room.tell(seat, round=names[step // 2 % len(names)], **news)
        step += 1
        await asyncio.sleep(draw.uniform(0.5, 1.5) * every_seconds)


async def _say(room: _Room, page: httpx.AsyncClient, after_seconds: float) -> float:
    """The instructor's click, and the wait until all have heard it; returns when it was."""
    await asyncio.sleep(after_seconds)
    begin = time.perf_counter()
    (await page.post(f"/call/{_LESSON}/2")).raise_for_status()
    return begin


@asynccontextmanager
async def _page(room: _Room) -> AsyncIterator[httpx.AsyncClient]:
    """The instructor's browser, which gets every picture."""
    base = room.page_url.partition("/?")[0]
    async with httpx.AsyncClient(base_url=base, trust_env=False, verify=False, timeout=30) as page:  # noqa: S501 - http
        await page.get(room.page_url)

        async def watch() -> None:
            async with page.stream("GET", "/stream") as stream:
                async for _ in stream.aiter_bytes():
                    pass

        task = asyncio.create_task(watch())
        try:
            yield page
        finally:
            await end_tasks(task)


@asynccontextmanager
async def _opened(folder: Path) -> AsyncIterator[_Room]:
    command = [sys.executable, "-c", _SERVE, str(folder)]
    process = await asyncio.to_thread(subprocess.Popen, command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        told = await asyncio.to_thread(process.stdout.readline)
        if not told:
            raise LabError("the board did not start")
        word, url, page_url = json.loads(told)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        async with httpx.AsyncClient(base_url=url, trust_env=False, verify=False, limits=limits, timeout=30) as http:  # noqa: S501 - http
            yield _Room(http, word, page_url, psutil.Process(process.pid))
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 10)
        assert process.stdout is not None
        process.stdout.close()


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
