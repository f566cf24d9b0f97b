"""What an operator reads of a lab: failures by step and kind, logs and metrics as frames, and the same as commands."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from support.api import SECRETS
from support.shop import until

from orderkit.analysis import operations
from orderkit.lab import Lab
from orderkit.stack.lifecycle import down, up
from orderkit.stack.stack import Stack
from orderkit.workflows.reconcile import WORKFLOW_ID


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home: Path = tmp_path_factory.mktemp("operations") / ".orderkit"
    before = dict(os.environ)
    try:
        yield up(home, preferred={})
    finally:
        os.environ.clear()
        os.environ.update(before)
        down(home)


@pytest_asyncio.fixture(scope="module")
async def lab(stack: Stack) -> AsyncIterator[Lab]:
    lab = await Lab.start(stack.home)
    address = {"street": SECRETS["street"], "city": "Springfield", "state": "IL", "zip": "62701"}
    await lab.orders.start("kiln", review="none", faults="charge=error,error,ok; prepare=hang,ok", address=address)
    await lab.orders.start("vase", review="none", policy="spec", faults="charge=error,error,error")
    await lab.orders.wait("kiln")
    await lab.orders.wait("vase")
    yield lab
    await lab.close()


def orderkit(lab: Stack, *words: str) -> Any:
    environment = {**os.environ, "ORDERKIT_HOME": str(lab.home)}
    command = [sys.executable, "-m", "orderkit", *words, "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def test_failures_are_counted_by_step_and_kind(lab: Lab, stack: Stack) -> None:
    told = await lab.failures("kiln", "vase")
    assert [tuple(row) for row in told[["step", "kind", "attempts"]].itertuples(index=False)] == [
        ("charge", "InjectedError", 5),
        ("prepare", "no answer in time", 1),
    ]
    assert [int(n) for n in (await lab.failures("kiln"))["attempts"]] == [2, 1]
    assert told["attempts"].sum() == (await lab.failures())["attempts"].sum()
    full = await lab.failures("kiln", full=True)
    assert {name: str(dtype) for name, dtype in full.dtypes.items()} == operations.FAILURES
    assert (await lab.charts.failures("kiln"))._repr_png_().startswith(b"\x89PNG")
    rows = await asyncio.to_thread(orderkit, stack, "failures")
    assert [(r["step"], r["kind"], r["attempts"], r["orders"]) for r in rows] == [
        ("charge", "InjectedError", 5, 2),
        ("prepare", "no answer in time", 1, 1),
    ]
    assert rows[0]["last_error"].startswith("InjectedError: ")


async def test_logs_are_a_frame_without_a_secret(lab: Lab) -> None:
    logs = await lab.logs()
    assert {name: str(dtype) for name, dtype in logs.dtypes.items()} == operations.LOGS
    ready = logs[logs["message"] == "worker ready"]
    assert set(ready["program"]) == {"worker-0"} and set(ready["level"]) == {"INFO"}
    assert logs["ts"].is_monotonic_increasing
    assert not logs.to_csv().count(SECRETS["street"])


async def test_metrics_are_a_frame(lab: Lab) -> None:
    ended = "orderkit_orders_ended_total"

    async def counted() -> bool:  # the API counts every five seconds
        metrics = await lab.metrics(ended)
        values = dict(zip(metrics["labels"], metrics["value"], strict=True))
        return values.get("outcome=shipped") == values.get("outcome=failed") == 1

    await until(counted, "both orders are counted")
    attempts = await lab.metrics("orderkit_attempts_total")
    assert set(attempts["program"]) == {"worker-0"}
    failed = attempts[attempts["labels"] == "outcome=failed, step=charge, task_queue=order-tq"]
    assert list(failed["value"]) == [5]
    assert len(await lab.metrics("temporal_")) > 20


async def test_orders_are_searched_in_temporal(stack: Stack, lab: Lab) -> None:
    async def found() -> bool:
        told = await asyncio.to_thread(orderkit, stack, "order", "list", "--query", "OrderPolicy = 'spec'")
        states = {order["order_id"]: order["state"] for order in told["orders"]}
        return states == {"kiln": "shipped", "vase": "failed"} and told["counts"] == {"failed": 1, "shipped": 1}

    await until(found, "both are in Temporal's lists with their states")


async def test_doctor_names_a_schedule_that_is_paused(lab: Lab) -> None:
    async def found() -> tuple[str, str, str]:
        report = await lab.doctor()
        row = report[report["check"] == "reconcile schedule"].iloc[0]
        return row["ok"], row["found"], row["what to do"]

    assert await found() == ("✔", "runs every minute", "")
    schedule = (await lab.connect_temporal()).get_schedule_handle(WORKFLOW_ID)
    await schedule.pause(note="by a test")
    ok, detail, remedy = await found()
    assert (ok, detail) == ("✖", "is paused (by a test)")
    assert remedy.endswith("--schedule-id orderkit-reconcile --unpause")
    await schedule.unpause()
