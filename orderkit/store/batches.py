"""Joins writes: those that come while a statement runs go out together in the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from orderkit.store.database import AWAY

Row = TypeVar("Row")
Answer = TypeVar("Answer")

_MOST = 100  # rows of one statement


class Batches(Generic[Row, Answer]):
    """One writer for many tasks. `write` takes rows and gives an answer for each, in their order.

    A row that comes alone goes out at once, so nothing waits for company. When a statement fails since PostgreSQL is
    away, each of its rows fails with that error. When it fails for another reason, each row is written by itself, so
    that a bad one harms no other.
    """

    def __init__(self, write: Callable[[Sequence[Row]], Awaitable[Sequence[Answer]]]) -> None:
        self._write = write
        self._waiting: list[tuple[Row, asyncio.Future[Answer]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def add(self, row: Row) -> Answer:
        """Returns when the row is committed; raises what its statement raised."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, answer))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all())
        return await answer

    async def _write_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
            try:
                await self._write_batch(batch)
            except asyncio.CancelledError:
                for _, answer in batch + self._waiting:
                    answer.cancel()
                raise

    async def _write_batch(self, batch: Sequence[tuple[Row, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._write([row for row, _ in batch])
        except Exception as error:
            if len(batch) == 1 or isinstance(error, AWAY):
                for _, answer in batch:
                    if not answer.done():
                        answer.set_exception(error)
                return
            for each in batch:
                await self._write_batch([each])
        else:
            for (_, answer), given in zip(batch, answers, strict=True):
                if not answer.done():
                    answer.set_result(given)
