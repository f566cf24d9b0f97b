"""When a worker's garbage collector runs: rarely while there is work, since it stops the process meanwhile.

An open order is 340 objects, most of them in its sandbox. With Python's own thresholds a worker with a thousand open
orders stood still for 0.1 to 0.3 s five times; an attempt may take 0.25 s under the policy `budget`.
"""

from __future__ import annotations

import asyncio
import gc
import time

_MOMENT_SECONDS = 1.0
_QUIET = 0.05  # of a processor


def collect_less() -> None:
    """The collector need not look again at what is loaded by now, and looks less often at what comes.

    The last threshold lets through a million objects: under unbroken load a worker was seen to grow from 100 to 250 MB.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 10, 50)


async def collect_in_quiet() -> None:
    """Collect everything whenever the process had next to nothing to do for a second; until cancelled."""
    used = time.process_time()
    while True:
        await asyncio.sleep(_MOMENT_SECONDS)
        before, used = used, time.process_time()
        if used - before < _QUIET * _MOMENT_SECONDS and gc.get_count()[2]:
            gc.collect()
