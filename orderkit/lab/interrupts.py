"""Interrupting a cell that awaits: at once, and with a sentence instead of a hundred lines of traceback."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any
from weakref import WeakSet

_TICK_SECONDS = 0.2
_ticking: WeakSet[asyncio.AbstractEventLoop] = WeakSet()


class Interrupted(KeyboardInterrupt):
    """Interrupted: only this cell has stopped. The lab and its orders go on; so can you, with this cell or the next."""

    def __str__(self) -> str:
        return str(self.__doc__)

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def make_interruptible() -> None:
    """Set this up in a kernel, once; elsewhere it does nothing."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return
    shell: Any = get_ipython()
    loop = asyncio.get_running_loop()
    if shell is None or loop in _ticking:
        return
    _ticking.add(loop)
    shell.set_custom_exc((asyncio.CancelledError,), _show)
    _tick(loop)


def _tick(loop: asyncio.AbstractEventLoop) -> None:
    """Wake the loop again and again: ipykernel does not wake it after an interrupt."""
    loop.call_later(_TICK_SECONDS, _tick, loop)


def _show(
    shell: Any, kind: type[BaseException], error: BaseException, trace: TracebackType, tb_offset: int | None = None
) -> None:
    """ipykernel makes an interrupt a CancelledError; one that the cell made itself looks as usual."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        kind, error = Interrupted, Interrupted()
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
