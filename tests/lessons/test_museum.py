"""The bug museum: each exhibit has exactly its bug, hides it while all is well, and OrderWorkflow has none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from support.shop import Shop
from temporalio.api.enums.v1 import EventType

from orderkit.core.faults import FaultPlan, parse_plan
from orderkit.core.orders import OrderId, order_workflow_id
from orderkit.errors import InvalidFaultPlan, OrderkitError
from orderkit.lab.lab import Lab
from orderkit.lessons.museum.check import clerk_is_convicted
from orderkit.lessons.museum.display import Visit
from orderkit.lessons.museum.exhibits import EXHIBITS, Exhibit
from orderkit.lessons.museum.run import run_exhibit, run_mended
from orderkit.lessons.museum.tour import Museum, find
from orderkit.stack.stack import Stack
from orderkit.stack.target import Target

ROOT = Path(__file__).parents[2]
each_exhibit = pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit.name)


@pytest_asyncio.fixture(scope="module")
async def lab(servers: Stack, shop: Shop) -> AsyncIterator[Lab]:
    """On the servers of the tests, whose worker is in this process."""
    lab = Lab(Target(servers.settings(), servers.temporal_settings()))
    yield lab
    await lab.close()


@pytest_asyncio.fixture(scope="module")
async def museum(lab: Lab) -> AsyncIterator[Museum]:
    """Put in order afterwards: nothing is left open for other tests to find."""
    museum = Museum(lab)
    try:
        yield museum
    finally:
        await museum.tidy()


@pytest_asyncio.fixture(scope="module")
async def visits(museum: Museum) -> dict[str, Visit]:
    """Every exhibit, all at once: none may disturb another."""
    visits = await asyncio.gather(*(museum.visit(exhibit.name) for exhibit in EXHIBITS))
    return {visit.exhibit.name: visit for visit in visits}


async def history(shop: Shop, order_id: OrderId) -> list[Any]:
    return list((await shop.client.get_workflow_handle(order_workflow_id(order_id)).fetch_history()).events)


@each_exhibit
async def test_the_auditor_finds_exactly_the_bug(visits: dict[str, Visit], exhibit: Exhibit) -> None:
    visit = visits[exhibit.name]
    assert set(visit.kinds) == {str(kind) for kind in exhibit.found}, visit


@each_exhibit
async def test_order_workflow_does_it_right(museum: Museum, exhibit: Exhibit) -> None:
    visit = await museum.mended(exhibit.name)
    assert visit.findings == ()


@each_exhibit
async def test_the_bug_hides_while_nothing_goes_wrong(shop: Shop, exhibit: Exhibit) -> None:
    approvals = [replace(saying, after="review_opened") for saying in exhibit.messages if "approve" in saying.signal]
    calm = replace(exhibit, name=f"calm-{exhibit.name}", script={}, messages=tuple(approvals))
    ran = await run_exhibit(calm, shop.client, shop.pool)
    assert ran.status == "completed"
    assert await shop.state(ran.order_id) == "shipped"
    assert await shop.findings(ran.order_id) == []


@each_exhibit
def test_the_catalogue_leads_to_a_file_and_the_exhibit_does_not_give_itself_away(exhibit: Exhibit) -> None:
    assert (ROOT / exhibit.right).is_file()
    module = ROOT / (exhibit.workflow.__module__.replace(".", "/") + ".py")
    text = module.read_text()
    assert text.startswith('"""Meant to do: ')
    assert "bug" not in text.lower()
    assert len(text.splitlines()) <= 70


async def test_the_deaf_order_fails_its_workflow_task_with_error_and_line(shop: Shop, visits: dict[str, Visit]) -> None:
    visit = visits["deaf-order"]
    assert (visit.state, visit.workflow) == ("in_review", "running")
    task_failed = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
    failed = [event for event in await history(shop, visit.order_id) if event.event_type == task_failed]
    failure = failed[-1].workflow_task_failed_event_attributes.failure
    assert failure.application_failure_info.type == "AttributeError"
    assert "deaf_order.py" in failure.stack_trace


async def test_the_hard_deadline_ends_before_any_compensation(shop: Shop, visits: dict[str, Visit]) -> None:
    visit = visits["hard-deadline"]
    assert (visit.state, visit.workflow) == ("prepared", "timed out")
    events = await history(shop, visit.order_id)
    assert events[-1].event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT
    assert {step for step, _ in visit.attempts} == {"receive", "validate", "charge", "prepare", "dispatch"}


async def test_a_second_visit_takes_a_new_order(museum: Museum, visits: dict[str, Visit]) -> None:
    again = await museum.visit("free-tea")
    assert again.order_id != visits["free-tea"].order_id
    assert again.kinds == visits["free-tea"].kinds


async def test_what_is_shown_is_the_same_each_time(visits: dict[str, Visit]) -> None:
    assert repr(visits["deaf-order"]).splitlines() == [
        "The deaf order",
        "order: in_review, workflow: running",
        "✖ past_deadline: the deadline is 4 s",
        "✖ workflow_failing: AttributeError: 'dict' object has no attribute 'new_address'"
        " (at deaf_order.py, line 42, in update_address: self._city = change.new_address.city)",
    ]
    assert "refund_missing" in visits["polite-cancel"]._repr_html_()


async def test_a_plan_that_would_kill_the_kernel_is_refused(museum: Museum) -> None:
    with pytest.raises(InvalidFaultPlan, match="error_after"):
        await museum.visit("hasty-clerk", faults="charge=crash_after")


async def test_an_unknown_exhibit_is_answered_with_the_known_ones(museum: Museum) -> None:
    with pytest.raises(OrderkitError, match="polite-cancel, free-tea"):
        await museum.visit("mona-lisa")


def test_hints_come_in_stages(museum: Museum) -> None:
    hints = [museum.hint("early-news") for _ in range(4)]
    assert [hint.partition(":")[0] for hint in hints] == ["Hint 1 of 3", "Hint 2 of 3", "Hint 3 of 3", "Hint 3 of 3"]


# The exercise


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ("calm", "to the clerk had no faults"),
        ("charge=error", "took the money once"),
        ("charge=slow(50)", "charge had 1 attempt: completed"),
        ("charge=decline", "never took the money"),
        ("dispatch=error_after", "charge had 1 attempt: completed"),
    ],
)
async def test_a_wrong_answer_is_told_why(museum: Museum, faults: str, said: str) -> None:
    await museum.visit("hasty-clerk", faults=faults)
    verdict = await clerk_is_convicted(museum)
    assert not verdict
    assert said in repr(verdict)


@pytest.mark.parametrize("faults", ["charge=error_after", "charge=hang_after"])
async def test_a_right_answer_is_accepted(museum: Museum, faults: str) -> None:
    await museum.visit("hasty-clerk", faults=faults)
    verdict = await clerk_is_convicted(museum)
    assert verdict, verdict


async def test_an_empty_answer_is_told_what_to_do(lab: Lab) -> None:
    verdict = await clerk_is_convicted(Museum(lab))
    assert not verdict
    assert "museum.visit" in repr(verdict)


async def test_order_workflow_takes_the_same_plan(shop: Shop) -> None:
    ran = await run_mended(find("hasty-clerk"), shop.client, shop.pool, parse_plan("charge=error_after,error_after"))
    assert await shop.state(ran.order_id) == "shipped"
    assert await shop.findings(ran.order_id) == []


# Afterwards


async def test_tidying_leaves_nothing_open(lab: Lab, shop: Shop) -> None:
    museum = Museum(lab)
    exhibit = replace(find("hasty-clerk"), name="left-open")
    stuck = await run_exhibit(exhibit, shop.client, shop.pool, FaultPlan(script={"charge": ["error"] * 3}))
    assert [finding.kind for finding in await shop.findings(stuck.order_id)] == ["stranded"]
    await museum.tidy()
    assert await shop.state(stuck.order_id) == "failed"
