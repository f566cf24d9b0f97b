"""One lab, watched and steered for the page: orders are read by push, processes are seen to die."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from orderkit.client import OrderkitClient
from orderkit.contract import StartOrder
from orderkit.core.faults import parse_plan
from orderkit.core.orders import OrderId
from orderkit.core.world import Service, ServiceState
from orderkit.errors import DependencyUnavailable, LabError, OrderkitError
from orderkit.event_loops import end_tasks
from orderkit.stack.processes import worker_died
from orderkit.stack.stack import Stack
from orderkit.stage.state import ProgramNow, Programs, is_balanced, order_card, verdict
from orderkit.store.database import AWAY, Pool, open_pool
from orderkit.store.notifications import listening
from orderkit.store.stage import read_stage
from orderkit.store.world import read_switches, set_switch

logger = logging.getLogger(__name__)
# Else warnings go to the presenter's terminal: of a pool whose server was killed, which is the show.
for library in ("asyncpg", "temporalio"):
    logging.getLogger(library).addHandler(logging.NullHandler())

_AWAY: tuple[type[Exception], ...] = (*AWAY, OrderkitError)
_LOOK_SECONDS = 0.2  # at the processes
_GATHER_SECONDS = 0.15  # between two reads of the orders
_QUIET_SECONDS = 1.0  # read at least this often: switches tell nobody
_AGAIN_SECONDS = 0.3
_MOST_ORDERS = 60


class Stage:
    """`async with stage.running():`, then `picture()` is what to show, and `changed()` waits for another one."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.api = OrderkitClient(stack.api_url, stack.settings().api_key)
        self.programs = Programs()
        self.orders: list[dict[str, Any]] = []
        self.balance: dict[str, int] = {}
        self.switches = dict.fromkeys(Service, ServiceState.UP)
        self.trouble: str | None = None
        self._pool: Pool | None = None
        self._read_at = 0.0
        self._news = asyncio.Event()
        self._version = 0
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watches until the block ends."""
        async with open_pool(self.stack.database_url, size=2, current=True) as self._pool:
            tasks = [asyncio.create_task(each) for each in (self._watch_programs(), self._listen(), self._read())]
            try:
                yield
            finally:
                await end_tasks(*tasks)
                await self.api.aclose()

    @property
    def pool(self) -> Pool:
        """Connections to the lab's PostgreSQL, while it runs."""
        assert self._pool is not None
        return self._pool

    def picture(self) -> dict[str, object]:
        """Everything the page shows, but the story."""
        now = time.monotonic()
        since = now - self._read_at
        rows = [row if row["closed"] else row | {"age_seconds": row["age_seconds"] + since} for row in self.orders]
        return {
            "orders": [order_card(row, worker_died) for row in rows],
            "programs": self.programs.shown(now),
            "balance": verdict(self.balance) if self.balance else "",
            "balanced": is_balanced(self.balance) if self.balance else None,
            "switches": self.switches,
            "trouble": self.trouble,
        }

    async def changed(self, version: int, within_seconds: float) -> int:
        """Wait until the picture is newer than this version, or for so long; returns the version."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_seconds), self._changed:
                await self._changed.wait_for(lambda: self._version > version)
        return self._version

    async def tell(self) -> None:
        """The picture is another one."""
        async with self._changed:
            self._version += 1
            self._changed.notify_all()

    # -- what buttons ask for

    async def kill(self, program: str) -> str:
        """SIGKILL; returns what to say."""
        killed = await asyncio.to_thread(self.stack.kill_own, program)
        return ", ".join(f"killed {name} (pid {pid})" for name, pid in killed.items())

    async def switch(self, service: Service, state: ServiceState) -> str:
        """Let a service of the outside world be in this state."""
        try:
            await set_switch(self.pool, service, state)
        except AWAY as error:
            raise DependencyUnavailable("postgresql", "PostgreSQL is away; try again") from error
        self.switches = self.switches | {service: state}
        self._news.set()
        await self.tell()
        return f"{service} {state}"

    async def start(self, order_id: str, faults: str = "calm", **fields: Any) -> None:
        """Start an order without review; waits for the API if it is away."""
        body = StartOrder.of(parse_plan(faults), **{"review": "none", "policy": "budget", "deadline": 90.0} | fields)
        await self._patiently(lambda: self.api.start(OrderId(order_id), body))

    async def _patiently(self, call: Callable[[], Any], within_seconds: float = 30) -> None:
        until = time.monotonic() + within_seconds
        while True:
            try:
                await call()
                return
            except DependencyUnavailable:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(_AGAIN_SECONDS)

    async def until(self, met: Callable[[], bool], what: str, within_seconds: float = 120) -> None:
        """Wait for the orders read to be so; raises LabError."""
        until = time.monotonic() + within_seconds
        version = 0
        while not met():
            if time.monotonic() > until:
                raise LabError(f"{what}: not within {within_seconds:g} s")
            version = await self.changed(version, _QUIET_SECONDS)

    def order(self, order_id: str) -> dict[str, Any] | None:
        """Its row as last read."""
        return next((row for row in self.orders if row["order_id"] == order_id), None)

    # -- watching

    async def _watch_programs(self) -> None:
        while True:
            try:
                found = await asyncio.to_thread(self.stack.supervisor.processes)
                now = [ProgramNow(each.name, each.state, each.pid) for each in found.values() if each.started_at]
                before = dict(self.programs.now)
                if self.programs.see(now, time.monotonic()) or before != self.programs.now:
                    self._news.set()
                    await self.tell()
            except LabError as error:
                self.trouble = str(error)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _listen(self) -> None:
        while True:
            broken = asyncio.Event()
            with suppress(*_AWAY):
                async with listening(self.stack.database_url, lambda _: self._news.set(), broken.set):
                    self._news.set()
                    await broken.wait()
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _read(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_QUIET_SECONDS):
                    await self._news.wait()
            self._news.clear()
            try:
                async with asyncio.timeout(5):
                    self.orders, self.balance = await read_stage(self.pool, _MOST_ORDERS)
                    self.switches = await read_switches(self.pool)
                self._read_at, self.trouble = time.monotonic(), None
            except _AWAY as error:
                logger.info("the orders cannot be read; trying again", exc_info=error)
                self.trouble = "PostgreSQL is away; trying again"
            except Exception as error:
                logger.info("the orders cannot be read; trying again", exc_info=error)
                self.trouble = f"the orders cannot be read ({type(error).__name__}); trying again"
            await self.tell()
            await asyncio.sleep(_GATHER_SECONDS)
