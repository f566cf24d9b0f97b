"""Tasks that must end do, also when a library loses a cancellation."""

from __future__ import annotations

import asyncio

from orderkit.event_loops import end_tasks


async def test_a_task_that_loses_its_first_cancellations_ends() -> None:
    lost = 0

    async def deaf() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                lost += 1
                if lost == 3:
                    raise

    async def fails() -> None:
        raise ValueError("nobody looks at this")

    async def finishes() -> int:
        return 1

    tasks = [asyncio.create_task(each) for each in (deaf(), fails(), finishes())]
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await end_tasks(*tasks)
    assert lost == 3
    assert [task.done() for task in tasks] == [True] * 3
