"""Waiting for a moment between two passes of reconcile, which would mend what a lesson wants to show unmended."""

from __future__ import annotations

import asyncio
import time

from orderkit.worker.reconcile import EVERY

_BEFORE_SECONDS = 6.0  # no pass so soon afterwards: time to look, on a busy machine too
_AFTER_SECONDS = 3.0  # the last pass is over


async def between_passes(in_seconds: float = 1.0) -> None:
    """Wait, at most 9 s, until an order can be stranded `in_seconds` from now with no pass near."""
    await asyncio.sleep(until_between_passes(time.time() + in_seconds))


def until_between_passes(stranded_at: float) -> float:
    """Seconds by which an order that would be stranded at that time (of the system's clock) must wait."""
    every = EVERY.total_seconds()
    since = stranded_at % every
    if since > every - _BEFORE_SECONDS:
        return every - since + _AFTER_SECONDS
    return max(0.0, _AFTER_SECONDS - since)
