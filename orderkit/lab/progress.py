"""One line that changes while a blocking call is at work; nothing outside of a notebook, or when asked to be quiet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from html import escape
from typing import Any, TypeVar

T = TypeVar("T")
_LOOK_SECONDS = 0.2


async def with_progress(work: Callable[[Callable[[str], None]], T], *, quiet: bool) -> T:
    """Run `work(tell)` in a thread; what it tells last is shown."""
    told = ["Starting the lab"]
    task = asyncio.create_task(asyncio.to_thread(work, told.append))
    line = None if quiet else _Line()
    try:
        while not task.done():
            if line:
                line.show(f"{told[-1]} …")
            await asyncio.wait({task}, timeout=_LOOK_SECONDS)
        return await task
    finally:
        if line and task.done():
            line.show("The lab is up." if task.exception() is None else "The lab did not start.")


class _Line:
    def __init__(self) -> None:
        self._handle: Any = None
        self._shown = ""

    def show(self, text: str) -> None:
        try:
            from IPython.core.getipython import get_ipython
            from IPython.display import display
        except ImportError:
            return
        if get_ipython() is None or text == self._shown:
            return
        self._shown = text
        both = {"text/plain": text, "text/html": f"<p>{escape(text)}</p>"}
        if self._handle is None:
            self._handle = display(both, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(both, raw=True)
