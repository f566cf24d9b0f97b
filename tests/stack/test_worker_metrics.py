"""What a lab's worker shows Prometheus: found by `orderkit status`, counted by step and outcome, without a secret."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.api import ADDRESS, QUICK, SECRETS

from orderkit.client import OrderkitClient
from orderkit.contract import StartOrder
from orderkit.core.faults import parse_plan
from orderkit.errors import SettingsError
from orderkit.stack.lifecycle import down, up
from orderkit.stack.stack import Stack
from orderkit.stack.status import status
from orderkit.temporal.client import connect_temporal


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home: Path = tmp_path_factory.mktemp("metrics") / ".orderkit"
    try:
        yield up(home, workers=2)
    finally:
        down(home)


async def scraped(url: str) -> str:
    async with httpx.AsyncClient() as http:
        answer = await http.get(url)
    assert answer.status_code == 200
    return answer.text


async def test_status_says_where_each_worker_shows_its_metrics(lab: Stack) -> None:
    urls = {row.name: row.url for row in status(lab.home)}
    told = lab.metrics_urls()
    assert sorted(told) == ["api", "worker-0", "worker-1"]
    assert {name: urls[name] for name in ("worker-0", "worker-1")} == {k: v for k, v in told.items() if k != "api"}
    assert all(re.fullmatch(r"http://127\.0\.0\.1:\d+/metrics", url) for url in told.values())


async def test_attempts_are_counted_by_step_and_outcome(lab: Stack) -> None:
    body = {**QUICK, "initial_address": ADDRESS, "payment_id": SECRETS["payment_id"]}
    async with OrderkitClient(lab.api_url) as client:
        await client.start("m-1", StartOrder.of(parse_plan("charge=error,ok"), **body))
        assert (await client.wait("m-1", 30)).state == "shipped"
    texts = [await scraped(url) for name, url in lab.metrics_urls().items() if name != "api"]
    families = {family.name: family for text in texts for family in text_string_to_metric_families(text)}
    assert "temporal_workflow_completed" in families  # the SDK's own
    assert families["orderkit_attempt_duration_seconds"].type == "histogram"
    counted: dict[tuple[str, str], float] = {}
    for text in texts:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == "orderkit_attempts_total":
                    key = (sample.labels["step"], sample.labels["outcome"])
                    counted[key] = counted.get(key, 0) + sample.value
    assert counted["charge", "failed"] == counted["charge", "completed"] == counted["ship", "completed"] == 1
    for hidden in (*SECRETS.values(), "m-1"):
        assert not any(hidden in text for text in texts)


async def test_an_address_that_cannot_be_used_is_named(lab: Stack) -> None:
    with pytest.raises(SettingsError, match=r"ORDERKIT_WORKER_METRICS_HOST.*127\.0\.0\.1:"):
        await connect_temporal(lab.temporal_settings(), f"127.0.0.1:{lab.ports.api}")
