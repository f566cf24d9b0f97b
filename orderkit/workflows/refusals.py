"""Messages that were refused: kept for the query, and written to the events table, however many come."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from orderkit.core.calls import RefusalInput
from orderkit.core.messages import MAX_SIGNAL_NAME_CHARACTERS, printable
from orderkit.core.orders import OrderId
from orderkit.core.steps import NOTE_REFUSAL

MOST_REMEMBERED = 20  # for the query
# Of one workflow: two thousand refused messages must fill neither the history nor the table. The last one counts all
# that wait.
MOST_NOTES = 20
_SETTLE = timedelta(seconds=5)


class Refusals:
    """`add` each; `settle` before the workflow ends. Equal ones that wait together are noted as one, counted."""

    def __init__(self, order_id: OrderId) -> None:
        self._order_id = order_id
        self.recent: list[str] = []
        self._waiting: Counter[tuple[str, str]] = Counter()
        self._notes = 0
        self._noting: asyncio.Task[None] | None = None

    def add(self, name: str, reason: str) -> None:
        """A message was refused; its name and why, never its content."""
        self.recent = [*self.recent, reason][-MOST_REMEMBERED:]
        if not workflow.patched("note-refused-messages"):
            return
        self._waiting[printable(name, MAX_SIGNAL_NAME_CHARACTERS), reason] += 1
        if self._noting is None or self._noting.done():
            self._noting = asyncio.create_task(self._note())

    async def settle(self) -> None:
        """Wait until what was refused is noted, for a bounded time: the order's end matters more."""
        noting = self._noting
        if noting is None or noting.done():
            return
        try:
            await workflow.wait_condition(noting.done, timeout=_SETTLE)
        except TimeoutError:
            noting.cancel()

    async def _note(self) -> None:
        while self._waiting and self._notes < MOST_NOTES:
            self._notes += 1
            (name, reason), count = next(iter(self._waiting.items()))
            del self._waiting[name, reason]
            if self._notes == MOST_NOTES:
                count += self._waiting.total()
                self._waiting.clear()
            await workflow.execute_activity(
                NOTE_REFUSAL,
                RefusalInput(self._order_id, name, reason, count),
                start_to_close_timeout=timedelta(seconds=2),
                retry_policy=RetryPolicy(
                    initial_interval=timedelta(milliseconds=100), maximum_interval=timedelta(seconds=5)
                ),
            )
