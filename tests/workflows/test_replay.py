"""Recorded histories replay with today's workflows: a change that would break running orders is caught here."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.record_histories import CASES
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from orderkit.workflows.order import OrderWorkflow
from orderkit.workflows.shipping import ShippingWorkflow

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


def load(path: Path, changed: str = "unchanged") -> WorkflowHistory:
    return WorkflowHistory.from_json(path.stem, path.read_text().replace(changed, "inspect_order_activity"))


def test_every_case_is_recorded() -> None:
    recorded = {path.stem.removeprefix("order-") for path in HISTORIES if path.stem.startswith("order-")}
    assert recorded == {case.__name__ for case in CASES}


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_recorded_history_replays(path: Path) -> None:
    replayer = Replayer(workflows=[OrderWorkflow, ShippingWorkflow])
    await replayer.replay_workflow(load(path))


async def test_a_history_that_does_not_fit_is_caught() -> None:
    """The order's history with its validation cut out of the code's way: the replayer must object."""
    path = next(path for path in HISTORIES if path.stem == "order-shipped")
    with pytest.raises(Exception, match=r"[Nn]ondeterminism|validate_order_activity"):
        await Replayer(workflows=[OrderWorkflow]).replay_workflow(load(path, changed="validate_order_activity"))
