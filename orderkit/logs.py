"""JSON logs: one line an event, with ids; never an address or a key."""

from __future__ import annotations

import logging
import sys
import traceback
from types import TracebackType

from pythonjsonlogger.json import JsonFormatter

from orderkit.errors import first_line


class _Formatter(JsonFormatter):
    """Tracebacks without what exceptions say beyond their first line, which may hold a customer's data."""

    def formatException(
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        """Called by logging."""
        return "".join(_lines(ei[1])).rstrip() if ei[1] else ""


def _lines(error: BaseException) -> list[str]:
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    before = [*_lines(cause), "\nwhich led to:\n\n"] if cause else []
    frames = traceback.format_list(traceback.extract_tb(error.__traceback__, limit=-20))
    return [*before, *frames, f"{type(error).__name__}: {first_line(error)}\n"]


def log_json(level: str) -> None:
    """Send every log record of this process to stderr as one JSON line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("{asctime}{levelname}{name}{message}", style="{"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # Temporal's own records of failed attempts say what trellis_events says already.
    logging.getLogger("temporalio.activity").setLevel(logging.ERROR)
