"""A call whose `await` was forgotten does nothing; in a notebook, it says so."""

from __future__ import annotations

import re
import sys
import warnings
from types import CoroutineType
from typing import Any, TextIO

from orderkit.analysis.markup import escape

_NEVER_AWAITED = re.compile(r"coroutine '(?:.*\.)?(?P<name>\w+)' was never awaited")


def notice_forgotten_await() -> None:
    """Set this up in a kernel, once; elsewhere it does nothing.

    A call that ends a cell is shown as the sentence; one in the middle of a cell prints it when Python drops the call.
    """
    if "IPython" not in sys.modules:
        return
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()
    if shell is None or warnings.showwarning is _show_warning:
        return
    formatters = shell.display_formatter.formatters
    formatters["text/plain"].for_type(CoroutineType, lambda call, printer, _: printer.text(_told(call.__name__)))
    formatters["text/html"].for_type(CoroutineType, lambda call: f"<p>{escape(_told(call.__name__))}</p>")
    # Each time, also when a cell is run again.
    warnings.filterwarnings("always", message=_NEVER_AWAITED.pattern, category=RuntimeWarning)
    global _show_before
    _show_before, warnings.showwarning = warnings.showwarning, _show_warning


_show_before = warnings.showwarning


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if forgotten := _NEVER_AWAITED.fullmatch(str(message)):
        (file or sys.stderr).write(f"{_told(forgotten['name'])}\n")
    else:
        _show_before(message, category, filename, lineno, file, line)


def _told(name: str) -> str:
    return f"{name}(…) has done nothing yet: put await before the call"
