"""One line that changes during a long call; outside of a notebook it shows nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from html import escape
from typing import Any, Protocol, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")
_LOOK_SECONDS = 0.2
_PATIENCE_LOOKS = 6  # about a second: after that, a person wants to see something


async def with_progress(work: Callable[[Callable[[str], None]], T], *, quiet: bool) -> T:
    """Run `work(tell)` in a thread and show its last message; `quiet`: only while work that takes long goes on."""
    told = ["Looking at the lab" if quiet else "Starting the lab"]
    task = asyncio.create_task(asyncio.to_thread(work, told.append))
    line: _Line = _PassingLine() if quiet else _LastingLine()
    looks = 0
    try:
        while not task.done():
            looks += 1
            if not quiet or looks > _PATIENCE_LOOKS:
                line.show(f"{told[-1]} …")
            await asyncio.wait({task}, timeout=_LOOK_SECONDS)
        return await task
    finally:
        if task.done():
            line.end("The lab is up." if task.exception() is None else "The lab did not start.")


def say(text: str) -> None:
    """Show a sentence in the cell and keep it there; outside of a notebook, log it."""
    display = displayer()
    if display is None:
        logger.warning(text)
    else:
        display({"text/plain": text, "text/html": f"<p>{escape(text)}</p>"}, raw=True)


@asynccontextmanager
async def passing(text: str) -> AsyncIterator[None]:
    """Show a line if the block takes longer than about a second, and remove it afterwards."""
    line = _PassingLine()
    later = asyncio.get_running_loop().call_later(_PATIENCE_LOOKS * _LOOK_SECONDS, line.show, f"{text} …")
    try:
        yield
    finally:
        later.cancel()
        line.end("")


@contextmanager
def counting() -> Iterator[Callable[[int, int, str], None]]:
    """A bar while the block is at work: call it with how many of how many, and a sentence; nothing stays of it."""
    line = _PassingLine()
    try:
        yield lambda done, whole, text: line.show(text, f'<progress value="{done}" max="{whole}"></progress> ')
    finally:
        line.end("")


class _Line(Protocol):
    def show(self, text: str) -> None:
        """What is going on now."""

    def end(self, text: str) -> None:
        """The result."""


class _LastingLine:
    """Part of the cell's output."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._shown = ""

    def show(self, text: str) -> None:
        display = displayer()
        if display is None or text == self._shown:
            return
        self._shown = text
        both = {"text/plain": text, "text/html": f"<p>{escape(text)}</p>"}
        if self._handle is None:
            self._handle = display(both, raw=True, display_id=True)
        else:
            self._handle.update(both, raw=True)

    def end(self, text: str) -> None:
        self.show(text)


class _PassingLine:
    """A widget: tests that compare a notebook with its stored outputs ignore widgets."""

    def __init__(self) -> None:
        self._widget: Any = None
        self._handle: Any = None

    def show(self, text: str, before: str = "") -> None:
        display = displayer()
        if display is None:
            return
        if self._widget is None:
            import ipywidgets as widgets

            self._widget = widgets.HTML()
            kind = "application/vnd.jupyter.widget-view+json"
            self._handle = display({kind: self._widget._repr_mimebundle_()[kind]}, raw=True, display_id=True)
        self._widget.value = f"<p>{before}{escape(text)}</p>"

    def end(self, text: str) -> None:
        if self._widget is not None:
            self._handle.update({}, raw=True)  # else a saved notebook would look for the widget
            self._widget.close()


def displayer() -> Any:
    """IPython's, in a notebook; else None."""
    try:
        from IPython.core.getipython import get_ipython
        from IPython.display import display
    except ImportError:
        return None
    return None if get_ipython() is None else display
