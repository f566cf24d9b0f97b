"""Starts orders, as many open at once as wanted, until all have ended, time is up or somebody interrupts; audits."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from temporalio.client import Client

from orderkit.audit.audit import audit
from orderkit.core.orders import ENDS
from orderkit.errors import DependencyUnavailable, OrderkitError
from orderkit.load.report import LoadReport, summarise
from orderkit.store.database import AWAY, Pool
from orderkit.store.measurements import OrderEnd, attempts_made, order_ends

_CALLERS = 40  # starts at once; more only wait for each other
_LOOK_SECONDS = 0.2
_RETRY_SECONDS = 0.2
_PAST_DEADLINE_SECONDS = 5.0  # an order that was compensated at its deadline is closed by then

Start = Callable[[int], Awaitable[str]]  # starts the order of that number, and says its id; safe to repeat
Name = Callable[[int], str]  # the id of the order of that number, before anybody has started it


@dataclass(frozen=True)
class Progress:
    """How far a load is."""

    orders: int
    started: int
    ended: int
    audited: int | None = None  # None until the audit begins
    interrupted: bool = False


class Load:
    """One load; `run` it once. Its orders' ids are in `started`, in the order in which they were started."""

    def __init__(
        self,
        start: Start,
        pool: Pool,
        orders: int,
        at_once: int,
        deadline_seconds: float,
        within_seconds: float,
        tell: Callable[[Progress], None] = lambda _: None,
        name: Name | None = None,
    ) -> None:
        self.started: list[str] = []
        self.unanswered: list[int] = []  # numbers whose start was tried and never answered: there may be an order
        self._start = start
        self._pool = pool
        self._orders = orders
        self._deadline_seconds = deadline_seconds
        self._within_seconds = within_seconds
        self._tell = tell
        self._name = name
        self._room = asyncio.Semaphore(at_once)
        self._callers = asyncio.Semaphore(_CALLERS)
        self._open: set[str] = set()
        self._ended = 0
        self._refused: Counter[str] = Counter()
        self._repeated = 0
        self._stopping = False

    async def run(self, client: Client, *, settle: bool = True) -> LoadReport:
        """Start, wait, audit every order that was started. Time limits: `within_seconds`, then the audit.

        Cancelled, it starts no more, waits for the open ones until their deadline (unless `settle` is off), audits, and
        reports what was done; a second cancel ends it.
        """
        interrupted = False
        try:
            async with asyncio.timeout(self._within_seconds):
                await self._start_and_watch()
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            interrupted = True
            self._show(interrupted=True)
            if settle:
                await self._settle()
        return await self._audited(client, interrupted)

    async def _start_and_watch(self) -> None:
        starting = asyncio.create_task(self._start_all())
        try:
            while not (starting.done() and not self._open):
                await asyncio.wait({starting}, timeout=_LOOK_SECONDS)
                if starting.done():
                    starting.result()
                    await asyncio.sleep(_LOOK_SECONDS)
                await self._look()
        finally:
            self._stopping = True
            starting.cancel()
            await asyncio.wait({starting})

    async def _start_all(self) -> None:
        calls: set[asyncio.Task[None]] = set()
        try:
            for number in range(1, self._orders + 1):
                await self._room.acquire()
                calls.add(asyncio.create_task(self._start_one(number)))
        finally:
            if calls:
                # A start that is under way is heard to its end, so that its order is audited with the others.
                await asyncio.wait(calls)
        for call in calls:
            call.result()

    async def _start_one(self, number: int) -> None:
        """Again while something is away, for as long as an order may take: it is the same request each time."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._deadline_seconds
        tried = False
        async with self._callers:
            while not self._stopping and loop.time() < until:
                try:
                    order_id = await self._start(number)
                except DependencyUnavailable:
                    self._repeated += tried
                    tried = True
                    await asyncio.sleep(_RETRY_SECONDS)
                except OrderkitError as error:
                    self._refused[type(error).__name__] += 1
                    return self._room.release()
                else:
                    self._repeated += tried
                    self.started.append(order_id)
                    self._open.add(order_id)
                    return None
        if tried:
            self.unanswered.append(number)
        return self._room.release()

    async def _look(self) -> None:
        """Make room for each open order that has ended."""
        for end in await self._rows(list(self._open)):
            if end.state in ENDS and end.seconds is not None:
                self._open.discard(end.order_id)
                self._ended += 1
                self._room.release()
        self._show()

    async def _settle(self) -> None:
        until = asyncio.get_running_loop().time() + self._deadline_seconds + _PAST_DEADLINE_SECONDS
        while self._open and asyncio.get_running_loop().time() < until:
            await self._look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def _rows(self, order_ids: list[str]) -> list[OrderEnd]:
        try:
            return await order_ends(self._pool, order_ids) if order_ids else []
        except AWAY:
            return []  # it comes back, or time runs out

    async def _audited(self, client: Client, interrupted: bool) -> LoadReport:
        names = list(self.started)
        if self._name:
            # Temporal may have taken an order whose start was never answered.
            names += [end.order_id for end in await order_ends(self._pool, list(map(self._name, self.unanswered)))]
        report = summarise(
            self._orders,
            await order_ends(self._pool, names),
            len(names),
            self._deadline_seconds,
            await attempts_made(self._pool, names),
            self._refused | Counter({"no answer": len(self.unanswered)} if self.unanswered else {}),
            self._repeated,
            interrupted,
        )
        if not names:
            return report
        audited = await audit(self._pool, client, names, lambda done: self._show(done, interrupted))
        return replace(report, findings=audited.findings, audited=audited.orders)

    def _show(self, audited: int | None = None, interrupted: bool = False) -> None:
        self._tell(Progress(self._orders, len(self.started), self._ended, audited, interrupted))
