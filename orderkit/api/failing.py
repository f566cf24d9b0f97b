"""Watches for workflows whose task fails, and notes it as events: so status, console, timeline and metrics say so.

An event is written once for as long as the same error stands, however often Temporal notes it in the history: it does
so again after each message, and now and then by itself.
"""

from __future__ import annotations

import asyncio
import logging

from temporalio.client import Client
from temporalio.service import RPCError

from orderkit.api.backends import Backends
from orderkit.core.events import EventType
from orderkit.core.orders import OrderId, order_workflow_id
from orderkit.errors import OrderkitError
from orderkit.store.status import FailingNote, failing_orders, note_failing
from orderkit.temporal.failing import FailingTask, failing_among, running_orders

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
_MOST = 40  # workflows in one look: each costs 2 ms, mostly the server's. The next look goes on behind them


class FailingWatch:
    """`latest` is how many orders stand still now, as far as the last look saw."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends
        self._seen: dict[OrderId, FailingTask] = {}
        self._left: dict[OrderId, str] = {}  # of the orders that ran when they were last listed

    @property
    def latest(self) -> int:
        """How many orders have a workflow whose task fails."""
        return len(self._seen)

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                await self.look()
            except (OrderkitError, RPCError):
                pass  # a server is away: the health says so
            except Exception:
                logger.exception("the watch for failing workflows failed")
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Look at running orders once; those that failed before are looked at each time."""
        client = self._backends.temporal
        noted = {note.order_id: note for note in await self._backends.read(failing_orders)}
        looked_at = await self._next_few(client)
        looked_at |= {order_id: order_workflow_id(order_id) for order_id in noted}
        self._seen = await failing_among(client, looked_at)
        for order_id, task in self._seen.items():
            before = noted.get(order_id)
            if before is None or (before.run_id, before.error, before.where) != (task.run_id, task.error, task.where):
                await self._note(order_id, EventType.WORKFLOW_FAILING, task)
        for order_id, note in noted.items():
            if order_id not in self._seen:
                await self._note(order_id, EventType.WORKFLOW_RECOVERED, note)

    async def _next_few(self, client: Client) -> dict[OrderId, str]:
        """Running orders, some at each look; listed again when all of them have been looked at."""
        self._left = self._left or await running_orders(client)
        return dict(self._left.popitem() for _ in range(min(_MOST, len(self._left))))

    async def _note(self, order_id: OrderId, event: EventType, about: FailingTask | FailingNote) -> None:
        note = FailingNote(order_id, about.workflow_id, about.run_id, about.event_id, about.error, about.where)
        await self._backends.read(lambda pool: note_failing(pool, event, note))
        logger.warning(event.value.replace("_", " "), extra={"order_id": order_id, "workflow_id": about.workflow_id})
