"""Recorded histories replay with today's workflows: a change that would break running orders is caught here."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.record_histories import CASES
from support.shop import Shop, until

import orderkit
from orderkit.core.orders import OrderId, Review
from orderkit.errors import OrderNotFound, SettingsError
from orderkit.worker.replay import histories_of, read_history, replay, running_histories
from orderkit.workflows.shipping import ShippingWorkflow

FOLDER = Path(__file__).parent / "histories"
HISTORIES = sorted(FOLDER.glob("*.json"))


def test_every_case_is_recorded() -> None:
    recorded = {path.stem.removeprefix("order-") for path in HISTORIES if path.stem.startswith("order-")}
    assert recorded == {case.__name__ for case in CASES}


def test_what_a_release_has_recorded_stays_as_it_is() -> None:
    """Orders that began under it may still run somewhere; `released` has the histories of each release, by digest."""
    released = dict(line.split()[::-1] for line in (FOLDER / "released").read_text().splitlines() if line[0] != "#")
    assert len(released) >= 22
    assert {name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in released} == released


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_recorded_history_replays(path: Path) -> None:
    [replayed] = await replay([read_history(path)])
    assert replayed.ok, replayed


def test_an_incompatible_change_is_caught(tmp_path: Path) -> None:
    """One more step before the charge, in a copy: each history that has come so far fails there, and no other one."""
    package = tmp_path / "orderkit"
    shutil.copytree(Path(orderkit.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    code = (package / "workflows" / "order.py").read_text()
    step = "        await self._forward_step(Step.CHARGE, self._charge_input())\n"
    assert code.count(step) == 1
    extra = "        await self._forward_step(Step.VALIDATE, self._order_input())\n"
    (package / "workflows" / "order.py").write_text(code.replace(step, extra + step))

    command = [sys.executable, "-m", "orderkit", "replay", "--json", str(FOLDER)]
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "ORDERKIT_HOME": str(tmp_path / "home")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    found = {each["name"]: each for each in json.loads(done.stdout)}

    charges = {path.stem: _charges(path) for path in HISTORIES}
    assert done.returncode == 1
    assert {name for name, each in found.items() if not each["ok"]} == {name for name, ids in charges.items() if ids}
    assert 5 < sum(map(bool, charges.values())) < len(HISTORIES)
    for name, ids in charges.items():
        if ids:
            assert found[name]["event"] == ids[0]
            expected = f"event {ids[0]} is charge_payment_activity, and today's code starts validate_order_activity"
            assert expected in found[name]["why"]


def _charges(path: Path) -> list[int]:
    """Events that schedule the charge."""
    events = json.loads(path.read_text())["events"]
    kind = "activityTaskScheduledEventAttributes"
    return [
        int(event["eventId"])
        for event in events
        if event.get(kind, {}).get("activityType", {}).get("name") == "charge_payment_activity"
    ]


async def test_a_running_order_is_replayed_with_its_shipping(shop: Shop, order_id: OrderId) -> None:
    handle = await shop.start(order_id)
    assert await shop.end(handle) == "shipped"
    replayed = await replay(await histories_of(shop.client, order_id))
    assert [(each.workflow, each.ok) for each in replayed] == [("OrderWorkflow", True), ("ShippingWorkflow", True)]
    [unknown] = await replay((await histories_of(shop.client, order_id))[:1], [ShippingWorkflow])
    assert str(unknown) == (f"order-{order_id} (OrderWorkflow): this code has no such workflow, only ShippingWorkflow")
    with pytest.raises(OrderNotFound, match="no history of order-nobodys"):
        await histories_of(shop.client, OrderId("nobodys"))


async def test_running_orders_are_found(shop: Shop, order_id: OrderId) -> None:
    handle = await shop.start(order_id, review=Review.HUMAN, deadline_seconds=60)

    async def listed() -> bool:
        return handle.id in [each.workflow_id async for each in running_histories(shop.client)]

    await until(listed, "the order is listed")
    await handle.cancel()


@pytest.mark.parametrize(
    ("text", "told"),
    [("{", "is not a history in JSON"), ('{"events": []}', "does not begin with the start of a workflow")],
)
def test_what_is_no_history_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(SettingsError, match=told):
        read_history(path)
