"""The shipped alert rules and dashboard, by promtool and by a real Prometheus that scrapes a real lab."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from support.prometheus import MISSING, PROMETHEUS, PROMTOOL, SHIPPED, Prometheus, scraping
from support.shop import until

from orderkit.client import OrderkitClient
from orderkit.contract import StartOrder
from orderkit.core.faults import parse_plan
from orderkit.stack.lifecycle import down, up
from orderkit.stack.stack import Stack
from orderkit.temporal.client import connect_temporal

needs_prometheus = pytest.mark.skipif(not (PROMETHEUS and PROMTOOL), reason=MISSING)
DASHBOARD = json.loads((SHIPPED.parent / "grafana" / "dashboards" / "orderkit.json").read_text())
EXPRESSIONS = {target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]}
BUSY = {"OrderkitWorkWaits"}  # true on a machine with more to do than it can
RULES = [rule for group in yaml.safe_load((SHIPPED / "rules.yml").read_text())["groups"] for rule in group["rules"]]


@needs_prometheus
def test_promtool_accepts_the_files_and_the_rules_hold_their_tests() -> None:
    for words in (
        ("check", "rules", "rules.yml"),
        ("check", "config", "--syntax-only", "prometheus.yml"),
        ("test", "rules", "rules_test.yml"),
    ):
        done = subprocess.run([str(PROMTOOL), *words], cwd=SHIPPED, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@needs_prometheus
def test_the_rules_tests_can_fail(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(
        (SHIPPED / "rules.yml").read_text().replace("misses_total[5m])) > 0", "misses_total[5m])) > 3")
    )
    (tmp_path / "rules_test.yml").write_text((SHIPPED / "rules_test.yml").read_text())
    done = subprocess.run([str(PROMTOOL), "test", "rules", "rules_test.yml"], cwd=tmp_path, capture_output=True)
    assert done.returncode == 1


def test_every_alert_is_tested_and_says_what_to_do() -> None:
    tested = (SHIPPED / "rules_test.yml").read_text()
    for rule in RULES:
        assert re.search(rf"alertname: {rule['alert']}\n\s+eval_time: \w+\n\s+exp_alerts:\n", tested), rule["alert"]
        assert rule["annotations"]["todo"] and rule["labels"]["severity"] in ("page", "ticket")


def test_panels_say_what_they_show_and_do_not_overlap() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24
    assert all(panel["title"] and panel["description"] for panel in DASHBOARD["panels"])
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home: Path = tmp_path_factory.mktemp("monitored") / ".orderkit"
    try:
        yield up(home)
    finally:
        down(home)


@pytest.fixture(scope="module")
def prometheus(lab: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    addresses = {name: urlsplit(url).netloc for name, url in lab.metrics_urls().items()}
    targets = {"orderkit-api": [addresses["api"]], "orderkit-worker": [addresses["worker-0"]]}
    with scraping(tmp_path_factory.mktemp("prometheus"), targets) as prometheus:
        yield prometheus


async def end_of(lab: Stack, name: str, faults: str = "calm", **fields: Any) -> str:
    async with OrderkitClient(lab.api_url) as client:
        await client.start(name, StartOrder.of(parse_plan(faults), **{"review": "none", "policy": "budget", **fields}))
        return (await client.wait(name, 60)).state


def has_numbers(samples: list[dict[str, Any]]) -> bool:
    return any(not math.isnan(float(sample["value"][1])) for sample in samples)


@needs_prometheus
async def test_every_expression_of_the_dashboard_has_an_answer_and_no_alert_fires(
    lab: Stack, prometheus: Prometheus
) -> None:
    await until(lambda: asyncio.to_thread(prometheus.is_up), "Prometheus answers")
    missing = EXPRESSIONS

    async def all_answered() -> bool:
        nonlocal missing
        fine = (end_of(lab, f"fine-{next(numbers)}", "charge=error,ok") for _ in range(3))
        assert set(await asyncio.gather(*fine)) == {"shipped"}
        asked = {each: each.replace("$__rate_interval", "30s") for each in missing}
        missing = {
            each for each, query in asked.items() if not has_numbers(await asyncio.to_thread(prometheus.query, query))
        }
        return not missing

    hung = f"dispatch={','.join(['hang'] * 30)}"  # charged, and given back
    assert await end_of(lab, "failed", hung, deadline=2) == "failed"
    numbers = itertools.count()
    try:
        await until(all_answered, "every expression has an answer", 60)
    except AssertionError as error:
        raise AssertionError(f"no answer to {sorted(missing)}") from error
    assert prometheus.firing() <= BUSY


@needs_prometheus
async def test_alerts_fire_for_a_missed_deadline_and_a_failing_workflow_and_not_otherwise(
    lab: Stack, prometheus: Prometheus
) -> None:
    fired: set[str] = set()

    async def fires(name: str) -> bool:
        fired.update(await asyncio.to_thread(prometheus.firing))
        return name in fired

    client = await connect_temporal(lab.temporal_settings())
    # A type that no worker knows: its workflow task fails for ever.
    broken = await client.start_workflow("Misspelt", id="order-broken", task_queue="order-tq")
    await until(lambda: fires("OrderkitWorkflowTaskFails"), "the alert for a failing workflow fires", 40)
    assert fired - BUSY == {"OrderkitWorkflowTaskFails"}
    await broken.terminate()

    async def is_over() -> bool:
        return "OrderkitWorkflowTaskFails" not in await asyncio.to_thread(prometheus.firing)

    await until(is_over, "the alert is over", 40)
    fired.clear()
    async with OrderkitClient(lab.api_url) as orders:
        await orders.start("late", StartOrder.of(parse_plan("calm"), review="human", policy="budget", deadline=6))

        async def is_in_review() -> bool:
            return (await orders.status("late")).state == "in_review"

        await until(is_in_review, "the order is in review")
        # Killed: one that is stopped gracefully may still cancel the order in time.
        await asyncio.to_thread(lab.kill, "worker-0", restart=False)
        await until(lambda: fires("OrderkitNoWorker"), "the alert for no worker fires", 60)
        # With waits this short, an order that is open after its deadline counts as stranded while no worker is there.
        await until(lambda: fires("OrderkitOrdersStranded"), "the order is open after its deadline", 60)
        lab.start_program("worker-0")
        await orders.wait("late", 60)
    await until(lambda: fires("OrderkitDeadlineMissed"), "the alert for a missed deadline fires", 40)
    expected = {"OrderkitNoWorker", "OrderkitWorkerAway", "OrderkitDeadlineMissed", "OrderkitOrdersStranded"}
    assert fired - BUSY <= expected
