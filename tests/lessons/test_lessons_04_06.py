"""The exercises of lessons 04 to 06 on a whole lab: tried empty, wrong in the likely ways, and right; and the seed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from support.classroom import notebook, whole_lab

from orderkit.analysis.assumptions import Assumptions
from orderkit.analysis.simulation import simulate_orders
from orderkit.core.faults import parse_plan
from orderkit.core.policies import BUDGET, SPEC
from orderkit.errors import WaitExpired
from orderkit.lab import Lab
from orderkit.lessons import lesson_04, lesson_05, lesson_06
from orderkit.lessons.measured import measured
from orderkit.lessons.reconcile_passes import until_between_passes
from orderkit.lessons.waiting import until_answered
from orderkit.stack.stack import Stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with whole_lab(tmp_path_factory.mktemp("lessons")) as stack:
        yield stack


@pytest_asyncio.fixture
async def lab(stack: Stack) -> AsyncIterator[Lab]:
    async with notebook(stack) as lab:
        yield lab


async def race(lab: Lab, tortoise: dict[str, Any], hare: dict[str, Any]) -> str:
    """Run both orders of lesson 04's exercise, and hear what the check says."""
    for name, fields in (("tortoise", tortoise), ("hare", hare)):
        await lab.orders.start(name, **{"review": "none", "deadline": 6, "faults": "charge=hang,hang,ok", **fields})
    await asyncio.gather(lab.orders.wait("tortoise"), lab.orders.wait("hare"))
    return repr(await lesson_04.tortoise_and_hare(lab))


async def test_tortoise_and_hare_gives_plainer_hints_each_time(lab: Lab) -> None:
    for stage in (1, 2, 3, 3):
        told = repr(await lesson_04.tortoise_and_hare(lab))
        assert "✖ no order tortoise and no order hare was started in this notebook" in told
        assert f"Hint {stage} of 3" in told
    await lab.orders.start("tortoise", review="human")
    await lab.orders.start("hare", review="human")
    assert "✖ not ended: tortoise, hare; wait for it" in repr(await lesson_04.tortoise_and_hare(lab))
    await lab.orders.cancel("tortoise")
    await lab.orders.cancel("hare")


@pytest.mark.parametrize(
    ("tortoise", "hare", "told"),
    [
        (
            {"faults": "charge=error,error,error,ok"},
            {"policy": "budget", "faults": "charge=error,error,error,ok"},
            "error injected into charge, attempt 3; it ran out of attempts, and should run out of time",
        ),
        (
            {"faults": "charge=error,ok"},
            {"policy": "budget", "faults": "charge=error,ok"},
            "✖ order tortoise is shipped",
        ),
        ({}, {}, "✖ their policies are spec and spec"),
        ({}, {"policy": "budget", "deadline": 30}, "✖ they had 6 and 30 seconds; it should be the same"),
        ({}, {"policy": "budget", "faults": "charge=error,hang,ok"}, "✖ they met different faults in charge"),
    ],
    ids=["attempts used up", "time enough", "one policy", "two deadlines", "other faults"],
)
async def test_tortoise_and_hare_says_what_is_wrong(
    lab: Lab, tortoise: dict[str, Any], hare: dict[str, Any], told: str
) -> None:
    said = await race(lab, tortoise, hare)
    assert told in said
    assert "Not yet." in said


async def test_tortoise_and_hare_is_content(lab: Lab) -> None:
    assert "Solved." in await race(lab, {"policy": "spec"}, {"policy": "budget"})


async def test_paid_then_cancelled_asks_for_an_order_then_for_its_end(lab: Lab) -> None:
    assert "✖ no order vase was started" in repr(await lesson_05.paid_then_cancelled(lab))
    await lab.orders.start("vase", review="human")
    await lab.orders.wait("vase", until="in_review")
    assert "✖ order vase is in_review, it has not ended" in repr(await lesson_05.paid_then_cancelled(lab))
    await lab.orders.cancel("vase")
    await lab.orders.wait("vase")
    told = repr(await lesson_05.paid_then_cancelled(lab))
    assert "✖ the payment provider never took the money: you cancelled before the charge" in told


async def test_paid_then_cancelled_wants_a_person_to_cancel(lab: Lab) -> None:
    await lab.orders.start("vase", review="none", faults="prepare=error,error,error")
    await lab.orders.wait("vase")
    told = repr(await lesson_05.paid_then_cancelled(lab))
    assert "✖ order vase is failed, because of: prepare: error injected into prepare, attempt 3" in told
    assert "✖ Temporal's history has no cancel message" in told
    assert "✔ the payment provider gave it back once" in told


async def test_paid_then_cancelled_sees_an_order_that_shipped(lab: Lab) -> None:
    await lab.orders.start("vase", review="none")
    await lab.orders.wait("vase")
    told = repr(await lesson_05.paid_then_cancelled(lab))
    assert "✖ order vase is shipped" in told
    assert "✖ the payment provider never gave it back" in told


@pytest.mark.parametrize("via", ["signal", "update"])
async def test_paid_then_cancelled_is_content(lab: Lab, via: Any) -> None:
    await lab.orders.start("vase", review="none", faults="prepare=hang,hang")
    await lab.orders.wait("vase", until="charged")
    await lab.orders.cancel("vase", via=via)
    await lab.orders.wait("vase")
    assert await lesson_05.paid_then_cancelled(lab)


async def test_charged_by_the_dead_asks_for_an_order(lab: Lab) -> None:
    assert "✖ no order tug was started" in repr(await lesson_06.charged_by_the_dead(lab))


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        ("calm", "✖ attempt 1 of charge is completed; it should be lost"),
        ("charge=error_after,ok", "✖ attempt 1 of charge is failed; it should be lost"),
        ("charge=hang_after,ok", "✖ attempt 1 of charge is timed out; it should be lost"),
        ("charge=crash,ok", "✖ the money was taken by attempt 2 of charge"),
        ("receive=error,error,error", "✖ charge was never tried"),
    ],
)
async def test_charged_by_the_dead_says_what_is_wrong(lab: Lab, faults: str, told: str) -> None:
    await lab.orders.start("tug", review="none", faults=faults, deadline=60)
    await lab.orders.wait("tug")
    verdict = await lesson_06.charged_by_the_dead(lab)
    assert not verdict
    assert told in repr(verdict)


async def test_charged_by_the_dead_is_content_with_a_kill(lab: Lab) -> None:
    await lab.orders.start("tug", review="none", faults="charge=hang_after", deadline=60)
    await lab.orders.wait("tug", until="charged")
    await lab.workers.kill()
    await lab.orders.wait("tug")
    assert await lesson_06.charged_by_the_dead(lab)


async def test_until_answered_waits_for_the_late_answer_and_not_for_ever(lab: Lab) -> None:
    await lab.orders.start("jug", review="none", faults="charge=slow(1500)")
    await lab.orders.wait("jug", until="approved")
    await lab.orders.cancel("jug", via="update")
    await lab.orders.wait("jug")  # the update answers when the order is stopped, before it is undone
    assert (await lab.orders.ledger("jug"))["kind"].tolist() == ["void"]
    with pytest.raises(WaitExpired, match="prepare of order jug has not answered within 0 s\n- it was never tried"):
        await until_answered(lab, "jug", "prepare", within_seconds=0)
    await until_answered(lab, "jug", "charge")
    assert (await lab.orders.ledger("jug"))["kind"].tolist() == ["void", "refused"]


@pytest.mark.parametrize(
    ("stranded_at", "waits"), [(0, 3), (2, 1), (3, 0), (30, 0), (54, 0), (55, 8), (59.5, 3.5), (60, 3)]
)
def test_nothing_is_stranded_near_a_pass_of_reconcile(stranded_at: float, waits: float) -> None:
    minute = 29_000_000 * 60
    assert until_between_passes(minute + stranded_at) == pytest.approx(waits)


async def test_measured_judges_ended_orders_by_the_deadline_given(lab: Lab) -> None:
    await lab.orders.start("tea", review="none")
    tea = await lab.orders.wait("tea")
    columns = ["order", "policy", "state", "deadline_seconds", "within_deadline"]
    assert measured([tea])[columns].iloc[0].tolist() == ["tea", "spec", "shipped", 15.0, True]
    assert not measured([tea], deadline_seconds=0.0)["within_deadline"].any()
    with pytest.raises(ValueError, match="order cup has not ended"):
        measured([await lab.orders.start("cup", review="none")])


@pytest.mark.parametrize("overhead", [0.0, 0.05, 0.2, 0.5])
def test_lesson_04s_seed_gives_the_same_ends_on_slow_machines(overhead: float) -> None:
    names = [f"tea{number:02}" for number in range(1, 25)]
    plan, assumed = (
        parse_plan("original", seed=24850),
        Assumptions(overhead_seconds=overhead, retry_overhead_seconds=overhead),
    )
    ends = simulate_orders(names, plan, SPEC, assumed).set_index("order_id")["state"]
    assert ends[ends == "shipped"].index.tolist() == ["tea06", "tea24"]
    assert set(ends) == {"shipped", "failed"}


def test_lesson_04s_first_twelve_orders_ship_with_budget() -> None:
    names = [f"tea{number:02}" for number in range(1, 13)]
    assert set(simulate_orders(names, parse_plan("original", seed=24850), BUDGET)["state"]) == {"shipped"}
