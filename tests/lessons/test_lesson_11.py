"""Lesson 11: its exercise tried empty, wrong and right, and an interrupted load that is audited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from support.classroom import notebook, whole_lab

from orderkit.lab import Lab
from orderkit.lessons import lesson_11
from orderkit.stack.stack import Stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with whole_lab(tmp_path_factory.mktemp("lesson")) as stack:
        yield stack


@pytest_asyncio.fixture
async def lab(stack: Stack) -> AsyncIterator[Lab]:
    async with notebook(stack) as lab:
        yield lab


async def test_a_rush_while_a_worker_runs_is_not_what_was_asked(lab: Lab) -> None:
    for stage in (1, 2, 3, 3):
        told = repr(await lesson_11.waited_for_workers(lab))
        assert "✖ 0 orders rush… were started; it should be at least 12" in told and f"Hint {stage} of 3" in told
    run = await lab.load("rush", orders=12, concurrency=4)
    assert repr(run) == "12 orders: 12 shipped; no findings in the audit"
    assert run.report.audited == 12 and run.report.percentiles["p50"] <= run.report.percentiles["p99"]
    told = repr(await lesson_11.waited_for_workers(lab))
    assert "✔ 12 of 12 orders shipped" in told and "Not yet." in told
    assert "orders were there before the first attempt; all of them should wait while no worker runs" in told
    assert "✖ 1 worker did the work; it should be 2" in told


async def test_a_rush_that_waited_for_two_workers_is_right(lab: Lab) -> None:
    await lab.workers.stop()
    rush = [f"rush{number:02}" for number in range(1, 13)]
    for name in rush:
        await lab.orders.start(name, review="none", deadline=120)
    await lab.workers.start(2)
    for name in rush:
        await lab.orders.wait(name, within_seconds=90)
    told = repr(await lesson_11.waited_for_workers(lab))
    assert "Solved." in told, told


async def test_an_interrupted_load_forgets_no_order(lab: Lab) -> None:
    loading = asyncio.create_task(lab.load("halt", orders=50, concurrency=2))
    while len(lab.orders.started) < 4:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
    started = list(lab.orders.started)
    assert 4 <= len(started) < 50
    await asyncio.sleep(0.5)
    assert list(lab.orders.started) == started  # no more were started
    for name in started:
        await lab.orders.wait(name)
    assert (await lab.audit()).orders == len(started)
