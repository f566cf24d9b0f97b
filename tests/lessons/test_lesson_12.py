"""Lesson 12: its rules are the shipped ones, the drill is solved by mending, and a backup is read back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pandas as pd
import pytest
import pytest_asyncio
import yaml
from support.classroom import notebook, whole_lab

from orderkit.lab import Lab
from orderkit.lessons import lesson_12
from orderkit.stack.stack import Stack

SHIPPED = Path(__file__).parents[2] / "deploy" / "prometheus" / "rules.yml"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with whole_lab(tmp_path_factory.mktemp("lesson")) as stack:
        yield stack


@pytest_asyncio.fixture
async def lab(stack: Stack) -> AsyncIterator[Lab]:
    async with notebook(stack) as lab:
        yield lab


def test_the_lessons_rules_are_the_shipped_ones() -> None:
    groups = yaml.safe_load(SHIPPED.read_text())["groups"]
    shipped = {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}
    assert {name: rule.expr for name, rule in lesson_12.RULES.items()}.items() <= shipped.items()


def test_a_rule_is_met_by_the_number_that_it_asks_for() -> None:
    rows = [
        ("api", "orderkit_workers", "queue=order-tq", 0.0),
        ("api", "orderkit_workers", "queue=shipping-tq", 2.0),
        ("api", "orderkit_dependency_up", "dependency=temporal", 1.0),
        ("api", "orderkit_failing_workflows", "", 3.0),
        ("api", "orderkit_orders_overdue", "", 0.0),
    ]
    assert lesson_12.judge(pd.DataFrame(rows, columns=["program", "metric", "labels", "value"])) == [
        ("OrderkitNoWorker", "orderkit_workers (queue=order-tq) is 0"),
        ("OrderkitWorkflowTaskFails", "orderkit_failing_workflows is 3"),
    ]


async def test_the_drill_is_solved_by_mending(lab: Lab) -> None:
    for stage in (1, 2, 3, 3):
        told = repr(await lesson_12.mended(lab))
        assert "✖ no order bell was started" in told and f"Hint {stage} of 3" in told
    assert "bell" in await lesson_12.drill(lab)
    alerts = await lesson_12.firing(lab)  # at once
    assert alerts["because"].tolist() == ["orderkit_workers (queue=shipping-tq) is 0"]
    told = repr(await lesson_12.mended(lab))
    assert "✖ these alerts fire: OrderkitNoWorker" in told and "✖ order bell is charged" in told
    await lab.workers.start()
    before = await lesson_12.ended_orders(lab)  # a learner who begins again without having mended it
    assert (await lab.orders.status("bell")).state == "shipped"
    assert before["orders"].sum() == 1
    verdict = await lesson_12.mended(lab)
    assert verdict, verdict


async def test_a_backup_is_read_back_beside_the_lab(lab: Lab) -> None:
    await lab.orders.start("desk", review="none")
    await lab.orders.wait("desk")
    backup = await lesson_12.back_up(lab)
    await lab.orders.start("shelf", review="none")
    await lab.orders.wait("shelf")
    for _ in range(2):  # a second time as well
        told = await lesson_12.read_back(lab, backup, "desk", "shelf")
        assert told.to_numpy().tolist() == [
            ["desk", "shipped", "completed", "0 findings"],
            ["shelf", "unknown", "completed", "not looked at"],
        ]
    assert (await lab.audit("desk", "shelf")).findings == ()
