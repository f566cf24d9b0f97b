"""What a worker's garbage collector may look at, in a process of its own: its thresholds hold for all of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

LESS = """
import gc
import orderkit.worker.process
from orderkit.worker.garbage import collect_less

collect_less()
assert gc.isenabled() and gc.get_freeze_count() > 50_000 and len(gc.get_objects()) < 1_000
before = [gc.get_stats()[2]["collections"], gc.get_stats()[0]["collections"]]
waiting = [[] for _ in range(340 * 1_000)]  # a thousand open orders
after = [gc.get_stats()[2]["collections"], gc.get_stats()[0]["collections"]]
assert after[0] == before[0], "the collector went through all of them"
assert after[1] > before[1] + 100, "young objects are not collected"
waiting += [[] for _ in range(3 * 340 * 1_000)]
assert gc.get_stats()[2]["collections"] > before[0], "old ones are never collected"
"""


IN_QUIET = """
import asyncio, gc, time
from orderkit.worker.garbage import collect_in_quiet, collect_less

def collections():
    return gc.get_stats()[2]["collections"]

async def main():
    watch = asyncio.get_running_loop().create_task(collect_in_quiet())
    before = collections()
    kept = [[] for _ in range(30_000)]
    end = time.monotonic() + 2.5
    while time.monotonic() < end:  # at work
        sum(range(10_000))
        await asyncio.sleep(0)
    assert collections() == before, "collected while there was work"
    end = time.monotonic() + 20
    while collections() == before and time.monotonic() < end:
        await asyncio.sleep(0.05)
    assert collections() == before + 1, "not collected in the quiet"
    await asyncio.sleep(1.5)
    assert collections() == before + 1, "collected again though nothing has come"
    watch.cancel()

collect_less()
asyncio.run(main())
"""


@pytest.mark.parametrize("script", [LESS, IN_QUIET], ids=["less", "in_quiet"])
def test_a_crowd_is_not_gone_through_and_garbage_is_collected_all_the_same(script: str) -> None:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
