"""The exercises of lessons 01 to 03 on a whole lab: tried empty, wrong in the likely ways, and right.

One file, though long: its tests share a lab, which takes seconds to start.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import psutil
import pytest
import pytest_asyncio
from support.classroom import notebook, whole_lab
from support.shop import until

from orderkit.core.orders import DEFAULT_ADDRESS
from orderkit.errors import WaitExpired
from orderkit.lab import Lab
from orderkit.lessons import lesson_01, lesson_02, lesson_03
from orderkit.lessons.extra_worker import hire
from orderkit.lessons.impatient_order import ImpatientOrder
from orderkit.lessons.replay import first_failure, replay
from orderkit.stack.lifecycle import up
from orderkit.stack.stack import Stack
from orderkit.stack.status import status

ELSEWHERE = replace(DEFAULT_ADDRESS, city="Shelbyville")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with whole_lab(tmp_path_factory.mktemp("lessons")) as stack:
        yield stack


@pytest_asyncio.fixture
async def lab(stack: Stack) -> AsyncIterator[Lab]:
    async with notebook(stack) as lab:
        yield lab


async def ended(lab: Lab, name: str, **more: Any) -> None:
    """Start an order, without review unless told otherwise, and wait for its end."""
    await lab.orders.start(name, **{"review": "none", **more})
    await lab.orders.wait(name)


async def test_two_children_asks_for_an_order_then_for_its_end(lab: Lab) -> None:
    assert "✖ no order twins was started" in repr(await lesson_01.two_children(lab))
    await lab.orders.start("twins", review="human")
    told = repr(await lesson_01.two_children(lab))
    assert "it has not ended: wait for it" in told
    assert "Hint 2 of 3" in told
    await lab.orders.cancel("twins")


@pytest.mark.parametrize(
    ("tried", "told"),
    [
        ({"faults": "dispatch=error,ok"}, "✖ its parent started 1 child; dispatch was tried twice"),
        ({"faults": "dispatch=error,error,error,ok", "policy": "budget"}, "✖ its parent started 1 child; dispatch"),
        (
            {"faults": "prepare=error,error,error"},
            "✖ order twins is failed, because of: prepare: error injected into prepare",
        ),
        ({"faults": "dispatch=error,error,error,error,error,error,ok"}, "✖ its parent started 3 children"),
    ],
    ids=["too few failures", "a policy that never gives up", "the wrong step", "too many failures"],
)
async def test_two_children_says_what_is_wrong(lab: Lab, tried: dict[str, str], told: str) -> None:
    await ended(lab, "twins", **tried)
    verdict = await lesson_01.two_children(lab)
    assert not verdict
    assert told in repr(verdict)


async def test_two_children_is_content(lab: Lab) -> None:
    await ended(lab, "twins", faults="dispatch=error,error,error,ok")
    assert await lesson_01.two_children(lab)


async def test_replay_needs_no_activity_and_changes_nothing(lab: Lab) -> None:
    await ended(lab, "lamp", faults="charge=error,ok")
    before = await lab.orders.ledger("lamp", full=True)
    told = repr(await replay(lab, "lamp"))
    assert "results of activities that it got from the history: 4" in told
    assert (await lab.orders.ledger("lamp", full=True)).equals(before)


async def test_sandbox_refuses_the_clock_and_the_workflow_is_gone_afterwards(lab: Lab) -> None:
    told = " ".join((await first_failure(lab, ImpatientOrder)).split())
    assert "RestrictedWorkflowAccessError: Cannot access datetime.datetime.now" in told
    assert "impatient_order.py" in told
    client = await lab.connect_temporal()

    async def gone() -> bool:
        running = "WorkflowType = 'ImpatientOrder' AND ExecutionStatus = 'Running'"
        return not [each async for each in client.list_workflows(running)]

    await until(gone, "the workflow is terminated")


async def test_the_clerk_serves_one_queue_and_leaves_with_its_kernel_however_that_dies(lab: Lab) -> None:
    await lab.workers.stop()
    kernel = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import asyncio\nfrom orderkit.lab import Lab\nfrom orderkit.lessons.extra_worker import hire\n"
        "from orderkit.stack.target import find_target\n"
        "async def work():\n    lab = Lab(find_target())\n"
        "    print((await hire(lab, 'order-tq')).pid, flush=True)\n    await asyncio.sleep(100)\n"
        "asyncio.run(work())",
        stdout=asyncio.subprocess.PIPE,
    )
    assert kernel.stdout is not None
    clerk = int(await kernel.stdout.readline())
    await lab.orders.start("desk", review="none", deadline=120)
    assert (await lab.orders.wait("desk", until="charged")).state == "charged"
    with pytest.raises(WaitExpired, match="no worker polls shipping-tq") as expired:
        await lab.orders.wait("desk", within_seconds=5)
    assert "order-tq" not in str(expired.value)
    kernel.kill()
    await kernel.wait()

    await until(is_gone(clerk), "the clerk has left")
    await lab.workers.start()
    assert (await lab.orders.wait("desk")).state == "shipped"


async def test_second_hire_replaces_the_first_and_stop_ends_the_clerk(lab: Lab) -> None:
    await lab.workers.stop()
    first = await hire(lab, "order-tq")
    second = await hire(lab, "order-tq")
    await until(is_gone(first.pid), "the first clerk has left")
    assert lab.workers.extra == ["extra-order-tq"]
    assert repr(lab.workers) == "0 workers and extra-order-tq"
    await lab.workers.stop()
    assert await is_gone(second.pid)()
    assert repr(lab.workers) == "0 workers"
    await second.dismiss()
    await first.dismiss()
    await lab.workers.start()


async def test_clerk_is_shown_by_name_wherever_workers_are_shown(lab: Lab, stack: Stack) -> None:
    await lab.workers.stop()
    clerk = await hire(lab, "order-tq")

    async def polls() -> bool:
        report = (await lab.doctor()).set_index("check")["found"]
        return f"extra-order-tq ({clerk.pid}@" in report["queue order-tq"]

    await until(polls, "doctor shows the clerk at its queue")
    report = (await lab.doctor()).set_index("check")
    assert report.loc["queue shipping-tq", "found"] == "no worker polls it: orders wait"
    assert report.loc["stray processes", "found"] == f"extra-order-tq (pid {clerk.pid})"
    assert repr(lab).endswith(", extra-order-tq running")
    assert {row.name: row.pid for row in status(stack.home)}["extra-order-tq"] == clerk.pid
    console = await lab.console()

    async def shown() -> bool:
        return "0 workers and extra-order-tq" in console.view.workers.value

    await until(shown, "the console shows the clerk")
    await clerk.dismiss()
    await lab.workers.start()


async def test_next_lesson_begins_without_the_clerk(lab: Lab, stack: Stack) -> None:
    await lab.workers.stop()
    clerk = await hire(lab, "order-tq")
    told: list[str] = []
    await asyncio.to_thread(up, stack.home, progress=told.append)
    assert told[0] == "Ended what an earlier notebook had left: extra-order-tq"
    assert await is_gone(clerk.pid)()
    await hire(lab, "order-tq")
    async with notebook(stack) as next_lesson:  # Lab.start
        assert repr(next_lesson.workers) == "1 worker"
        await ended(next_lesson, "tidy")


async def test_kill_kills_the_clerk_too(lab: Lab) -> None:
    clerk = await hire(lab, "order-tq")
    await lab.workers.kill()
    assert await is_gone(clerk.pid)()
    assert repr(lab.workers) == "1 worker"


def is_gone(pid: int) -> Callable[[], Awaitable[bool]]:
    async def gone() -> bool:
        return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE

    return gone


async def in_review(lab: Lab) -> None:
    """Start the order of lesson 02's exercise, and let it come to its review."""
    await lab.orders.start("gift", review="human", deadline=60)
    await lab.orders.wait("gift", until="in_review")


async def test_moved_before_approval_asks_for_an_order_then_for_a_decision(lab: Lab) -> None:
    assert "✖ no order gift was started" in repr(await lesson_02.moved_before_approval(lab))
    await in_review(lab)
    told = "✖ order gift is in_review, and its address is as it was; it waits for a yes or a no"
    assert told in repr(await lesson_02.moved_before_approval(lab))
    await lab.orders.cancel("gift")


async def test_moved_before_approval_misses_the_change(lab: Lab) -> None:
    await in_review(lab)
    await lab.orders.approve("gift")
    await lab.orders.wait("gift")
    assert "✖ its address was changed 0 times" in repr(await lesson_02.moved_before_approval(lab))


async def test_moved_before_approval_misses_the_answer(lab: Lab) -> None:
    await in_review(lab)
    await lab.orders.change_address("gift", ELSEWHERE, via="signal")
    await lab.orders.approve("gift", via="update")
    await lab.orders.wait("gift")
    told = repr(await lesson_02.moved_before_approval(lab))
    assert "✔ its address was changed 1 time" in told
    assert "✖ the change came not by update" in told


async def test_moved_before_approval_sees_an_approval_that_came_first(lab: Lab) -> None:
    await lab.orders.start("gift", review="human", deadline=60, faults="review=slow(400)")
    await lab.orders.wait("gift", until="review")
    await lab.orders.approve("gift", by="grace")  # it is noted, and counts once the review is open
    await lab.orders.change_address("gift", ELSEWHERE, via="update")
    await lab.orders.wait("gift")
    events = (await lab.orders.events("gift"))["type"].tolist()
    assert events.index("address_changed") < events.index("order_approved")
    told = repr(await lesson_02.moved_before_approval(lab))
    assert "✖ the address change came after the approval" in told
    assert "Hint 2 of 3" in told  # the first one says what is right already


async def test_moved_before_approval_misses_the_person(lab: Lab) -> None:
    await lab.orders.start("gift", review="auto", review_seconds=0.5)
    await lab.orders.wait("gift", until="in_review")
    await lab.orders.change_address("gift", ELSEWHERE, via="update")
    await lab.orders.wait("gift")
    assert "✖ it was approved by the timer" in repr(await lesson_02.moved_before_approval(lab))


async def test_moved_before_approval_sees_that_it_was_rejected(lab: Lab) -> None:
    await in_review(lab)
    await lab.orders.change_address("gift", ELSEWHERE, via="update")
    await lab.orders.reject("gift", by="grace")
    await lab.orders.wait("gift")
    assert "✖ order gift is cancelled, because of: rejected by grace" in repr(
        await lesson_02.moved_before_approval(lab)
    )


async def test_moved_before_approval_is_content(lab: Lab) -> None:
    await in_review(lab)
    await lab.orders.change_address("gift", ELSEWHERE, via="update")
    await lab.orders.approve("gift", by="grace", via="update")
    await lab.orders.wait("gift")
    assert await lesson_02.moved_before_approval(lab)


async def both_ended(lab: Lab, faults: str, hasty: str | None = None, **more: Any) -> str:
    """What the check of lesson 03 says of two orders."""
    mine = {"review": "none", "deadline": 3, **more}
    await lab.orders.start("patient", policy="spec", faults=faults, **{**mine, "deadline": 3})
    await lab.orders.start("hasty", policy="budget", faults=hasty or faults, **mine)
    await lab.orders.wait("patient")
    await lab.orders.wait("hasty")
    return repr(await lesson_03.patience_wins(lab))


async def test_patience_wins_asks_for_both_orders_then_for_their_ends(lab: Lab) -> None:
    assert "✖ no order patient was started" in repr(await lesson_03.patience_wins(lab))
    await lab.orders.start("patient", review="human")
    assert "it has not ended: wait for it" in repr(await lesson_03.patience_wins(lab))
    await lab.orders.cancel("patient")


SLOW = "charge=" + "slow(500)," * 40 + "ok"


@pytest.mark.parametrize(
    ("tried", "told"),
    [
        ({"faults": "charge=ok"}, "✖ order hasty, with budget, is shipped; it should be failed"),
        ({"faults": "charge=slow(500),ok"}, "✖ order hasty, with budget, is shipped"),
        ({"faults": "charge=" + "hang," * 40 + "ok"}, "✖ order patient, with spec, is failed"),
        (
            {"faults": "charge=ok", "hasty": SLOW},
            "✖ not the same script: attempt 1 of charge was ok for one and slow(500)",
        ),
        ({"faults": SLOW, "deadline": 2}, "✖ their deadlines: 3 s and 2 s; they should be the same"),
    ],
    ids=["nothing goes wrong", "slow only once", "a hang hurts both", "two scripts", "two deadlines"],
)
async def test_patience_wins_says_what_is_wrong(lab: Lab, tried: dict[str, Any], told: str) -> None:
    said = await both_ended(lab, **tried)
    assert told in said
    assert "Not yet." in said


async def test_patience_wins_is_content_and_does_not_name_the_attempt_under_way(lab: Lab) -> None:
    told = await both_ended(lab, SLOW)
    assert "Solved." in told
    assert "✔ order hasty, with budget, is failed, because of: the 3 s deadline came near\n" in told
