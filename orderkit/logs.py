"""JSON logs: one line an event, with ids; never an address or a key."""

from __future__ import annotations

import logging
import sys

from pythonjsonlogger.json import JsonFormatter


def log_json(level: str) -> None:
    """Send every log record of this process to stderr as one JSON line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter("{asctime}{levelname}{name}{message}", style="{"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # Temporal's own records of failed attempts say what trellis_events says already.
    logging.getLogger("temporalio.activity").setLevel(logging.ERROR)
