"""`open_console`: the widgets, fed by push, their buttons wired to the API; all on the caller's event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from orderkit.client import OrderkitClient
from orderkit.console.commands import Start, send, starting_row
from orderkit.console.feed import Feed
from orderkit.console.html import plain_html
from orderkit.console.state import Change, ConsoleState
from orderkit.console.table import orders_frame
from orderkit.console.view import View
from orderkit.console.workers import ANNOUNCEMENTS, control, running
from orderkit.errors import LabError, OrderkitError
from orderkit.event_loops import end_tasks
from orderkit.stack.controls import WorkerControl

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

_TICK_SECONDS = 0.5
_WORKERS_SECONDS = 2.0
_STARTS_AT_ONCE = 5


def open_console(
    api: OrderkitClient,
    database_url: SecretStr | str,
    workers: WorkerControl | None = None,
    shown: Callable[[Change], None] | None = None,
) -> Console:
    """A console that shows itself as a cell's result. Needs a running event loop, as every notebook has.

    Without `workers` there is no kill switch. `shown` is called after each change has reached the widgets.
    """
    url = database_url.get_secret_value() if isinstance(database_url, SecretStr) else database_url
    return Console(api, url, workers, shown)


class Console:
    """The order console. `await console.ready()` until it knows the orders; `close()` when it is no longer wanted."""

    def __init__(
        self,
        api: OrderkitClient,
        database_url: str,
        workers: WorkerControl | None,
        shown: Callable[[Change], None] | None = None,
    ) -> None:
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            raise LabError("the console needs a running event loop: open it in a notebook, or in a coroutine") from None
        self._api = api
        self._workers = workers
        self._shown = shown
        self._clock_ahead = timedelta()  # of the database's clock, before ours
        self._busy: frozenset[str] = frozenset()
        self._ready = asyncio.Event()
        self._taken: set[str] = set()  # ids that were requested, even without success
        self._closed = False
        #: What is known of the orders, without a widget.
        self.state = ConsoleState()
        #: The widgets that show it.
        self.view = View(
            lambda name: self._on_loop(lambda: self._clicked(name)),
            lambda order_id: self._on_loop(lambda: self.select(order_id)),
            has_workers=workers is not None,
        )
        self._show()
        self._tasks: set[asyncio.Task[None]] = set()
        self._keep(Feed(database_url, self._changed, self._told).run())
        self._keep(self._tick())
        if workers is not None:
            self._keep(self._watch(workers))

    @property
    def closed(self) -> bool:
        """Whether it listens no more."""
        return self._closed

    async def ready(self, within_seconds: float = 10) -> Console:
        """Wait until the orders are known, up to a limit; the console itself says what is missing."""
        try:
            async with asyncio.timeout(within_seconds):
                await self._ready.wait()
        except TimeoutError:
            pass
        return self

    def select(self, order_id: str) -> None:
        """Show this order on the right."""
        self.state = replace(self.state, selected=order_id)
        self._show()

    def table(self) -> pd.DataFrame:
        """The orders, newest first: order, state, step, attempts, left_seconds, charged, refunded, kept, why."""
        return orders_frame(self.state, self._now())

    def close(self) -> None:
        """Stop listening; what is shown stays as it is."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        self.state = replace(self.state, trouble="closed")
        self._show()
        self.view.freeze()

    async def aclose(self) -> None:
        """Close, and wait until nothing of it runs."""
        self.close()
        await end_tasks(*self._tasks)

    def __repr__(self) -> str:
        return "The order console. Where no widgets are shown: console.table()"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """Widgets, and a table for front ends that have none."""
        bundle: dict[str, Any] = self.view.root._repr_mimebundle_(**kwargs) or {}
        return {**bundle, "text/plain": repr(self), "text/html": plain_html(self.state)}

    def _on_loop(self, act: Callable[[], None]) -> None:
        """JupyterLab may bring widgets' messages on a thread of their own (a subshell): act on our loop."""
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is self._loop:
            act()
        else:
            self._loop.call_soon_threadsafe(act)

    def _clicked(self, name: str) -> None:
        """Every button: lock it, say what begins, do it, show the result."""
        of_order = name in self.view.panel.buttons
        key = f"{name}:{self.state.selected}" if of_order else name
        if self._closed or key in self._busy or (of_order and self.state.selection is None):
            return
        try:
            work = self._work(name)
        except OrderkitError as error:
            self.view.say("bad", str(error))
            return
        self._busy |= {key}
        self._show()
        self._keep(self._carry_out(key, work))

    def _work(self, name: str) -> Awaitable[str]:
        """What a button does; raises orderkit's errors when its fields are wrong."""
        if name in self.view.worker_buttons:
            return self._control(name)
        if name.startswith("start-"):
            commands = self.view.form.commands({*self.state.orders, *self._taken}, int(name.removeprefix("start-")))
            self.view.say("busy", f"Starting {_listed(commands)}")
            return self._start(commands)
        order_id = self.state.selected or ""
        command = self.view.panel.command(name, order_id)
        self.view.say("busy", f"{order_id}: {name} is sent")
        return self._send(command, order_id)

    async def _send(self, command: Any, order_id: str) -> str:
        return f"{order_id}: {await send(command, self._api, self.view.panel.chosen_via)}"

    async def _carry_out(self, key: str, work: Awaitable[str]) -> None:
        try:
            self.view.say("good", await work)
        except OrderkitError as error:
            self.view.say("bad", str(error))
        except Exception as error:
            logger.info("a command of the console failed", exc_info=True)
            self.view.say("bad", f"{type(error).__name__}: {error}")
        finally:
            self._busy -= {key}
            if not self._closed:
                self._show()

    async def _start(self, commands: list[Start]) -> str:
        """An order shows as soon as Temporal has it, before a worker takes it up."""
        gate = asyncio.Semaphore(_STARTS_AT_ONCE)

        async def start(command: Start) -> OrderkitError | None:
            async with gate:
                try:
                    await send(command, self._api)
                except OrderkitError as error:
                    return error
            self.state = self.state.after(Change(orders=(starting_row(command, self._now()),)))
            if command is commands[-1]:
                self.state = replace(self.state, selected=command.order_id)
            self._show()
            return None

        errors = [error for error in await asyncio.gather(*map(start, commands)) if error]
        self._taken |= {command.order_id for command in commands}
        await self._propose_id()
        if not errors:
            return f"{_listed(commands)} started"
        if len(commands) == 1:
            raise errors[0]
        raise OrderkitError(f"{len(errors)} of {len(commands)} orders were not started. The first reason: {errors[0]}")

    async def _propose_id(self) -> None:
        """A free id for the next order; older orders than those shown have ids, too."""
        form = self.view.form
        try:
            page = await self._api.list(prefix=f"{form.stem}-", limit=100)
            self._taken |= {order.order_id for order in page.orders}
        except OrderkitError:
            logger.info("the ids that are taken are not known", exc_info=True)
        form.propose_id({*self.state.orders, *self._taken})

    async def _control(self, name: str) -> str:
        assert self._workers is not None
        self.view.say("busy", ANNOUNCEMENTS[name])
        said = await control(name, self._workers)
        await self._count(self._workers)
        return said

    def _changed(self, change: Change) -> None:
        if change.orders:
            self._clock_ahead = max(row.read_at for row in change.orders) - datetime.now(UTC)
        self.state = self.state.after(change)
        self._show()
        if self._shown is not None:
            self._shown(change)

    def _told(self, trouble: str | None) -> None:
        self.state = replace(self.state, trouble=trouble)
        if trouble is None and not self._ready.is_set():
            self._ready.set()
            self._keep(self._propose_id())
            self.view.say("good", "Orders appear as they change; nothing is polled")
        self._show()

    async def _tick(self) -> None:
        """What changes with time alone: seconds left, and bars that grow."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self._show(tick=True)

    async def _watch(self, workers: WorkerControl) -> None:
        while True:
            await self._count(workers)
            await asyncio.sleep(_WORKERS_SECONDS)

    async def _count(self, workers: WorkerControl) -> None:
        count, extra = await running(workers)
        if (count, extra) != (self.state.workers, self.state.extra_workers):
            self.state = replace(self.state, workers=count, extra_workers=extra)
            self._show()

    def _show(self, tick: bool = False) -> None:
        self.view.show(self.state, self._now(), self._busy, tick)

    def _now(self) -> datetime:
        return datetime.now(UTC) + self._clock_ahead

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        """Show an error of ours in the panel, not as a traceback in the last cell."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.info("the console failed", exc_info=error)
            self.view.say("bad", f"the console failed, open it again: {type(error).__name__}: {error}")


def _listed(commands: list[Start]) -> str:
    first, last = commands[0].order_id, commands[-1].order_id
    return first if len(commands) == 1 else f"{len(commands)} orders, {first} to {last},"
