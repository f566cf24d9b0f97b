"""Nothing depends on a worker's clock: not the limit of an attempt, not the deadline, not the compensation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.api import ended, process
from support.shop import Shop

from orderkit.core.faults import FaultPlan
from orderkit.core.orders import OrderId
from orderkit.core.policies import BUDGET, SPEC, Policy
from orderkit.stack.lifecycle import down, up
from orderkit.stack.stack import Stack
from orderkit.store.database import open_pool
from orderkit.store.migrations import migrate
from orderkit.temporal.client import connect_temporal

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
WORKER = "import sys; from orderkit.cli import main; sys.argv = ['orderkit', 'worker']; main()"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Servers that no other worker serves."""
    home = tmp_path_factory.mktemp("clocks") / ".orderkit"
    try:
        yield up(home, programs=("postgres", "temporal"), migrate=migrate, preferred={})
    finally:
        down(home)


@asynccontextmanager
async def worker_ahead_by(stack: Stack, seconds: int, folder: Path) -> AsyncIterator[Shop]:
    """Orders on a stack whose only worker has another clock."""
    assert FAKETIME is not None
    told = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": f"{seconds:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    worker = await process(WORKER, stack, folder, **told)
    try:
        async with open_pool(stack.database_url) as pool:
            yield Shop(await connect_temporal(stack.temporal_settings()), pool)
    finally:
        worker.terminate()
        await worker.wait()
        await ended(worker)


@pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed")
@pytest.mark.parametrize("seconds", [-60, -5, 1, 5, 60])
async def test_a_worker_whose_clock_is_wrong_ships_and_undoes_in_time(
    stack: Stack, tmp_path: Path, seconds: int
) -> None:
    async with worker_ahead_by(stack, seconds, tmp_path) as shop:
        name = f"clock{seconds:+d}".replace("+", "-ahead-").replace("--", "-behind-")
        plans: dict[str, tuple[Policy, FaultPlan, str]] = {
            "spec": (SPEC, FaultPlan(), "shipped"),
            "budget": (BUDGET, FaultPlan(script={"charge": ["hang", "error", "ok"]}), "shipped"),
            "undone": (BUDGET, FaultPlan(script={"prepare": ["error"] * 500}), "failed"),
        }
        ids = {each: OrderId(f"{name}-{each}") for each in plans}
        handles = {
            each: await shop.start(ids[each], policy=policy, faults=faults, deadline_seconds=14)
            for each, (policy, faults, _) in plans.items()
        }
        for each, (_, _, end) in plans.items():
            assert await shop.end(handles[each], timeout_seconds=30) == end
        assert await shop.findings(*ids.values()) == []
