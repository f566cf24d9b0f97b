"""The whole stack as the lab starts it: every usual port taken, a path with a space, workers really killed."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

import httpx
import pytest
import pytest_asyncio
from support.shop import Shop, until
from support.terminal import predicted, processes_below
from temporalio.client import Client

from orderkit.cli import run
from orderkit.client import OrderkitClient
from orderkit.contract import FaultsBody, StartOrder
from orderkit.core.faults import FaultPlan, Scenario, parse_plan
from orderkit.core.orders import OrderId, Review, order_workflow_id
from orderkit.core.steps import Step
from orderkit.errors import OrderConflict
from orderkit.stack.lifecycle import down, up
from orderkit.stack.stack import Stack
from orderkit.stack.tcp_ports import PREFERRED
from orderkit.store.database import open_pool


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A lab beside something else on every usual port, in a folder with a space; nothing of it is left afterwards."""
    place = tmp_path_factory.mktemp("full stack")
    with ExitStack() as taken:
        for port in PREFERRED.values():
            occupy(port, taken)
        try:
            yield up(place / "my lab")
        finally:
            down(place / "my lab")
    assert processes_below(place) == []


def occupy(port: int, taken: ExitStack) -> None:
    """Listen there, unless something else does."""
    server = taken.enter_context(socket.socket())
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind(("127.0.0.1", port))
        server.listen()
    except OSError:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass


@pytest_asyncio.fixture(scope="module")
async def orderkit(stack: Stack) -> AsyncIterator[OrderkitClient]:
    async with OrderkitClient(stack.api_url) as orderkit:
        yield orderkit


@pytest_asyncio.fixture(scope="module")
async def lab(stack: Stack) -> AsyncIterator[Shop]:
    """The database and Temporal behind the API, to look at; the worker is the stack's own."""
    async with open_pool(stack.database_url, 2) as pool:
        yield Shop(await Client.connect(stack.temporal_address), pool)


def order(faults: str = "calm", seed: int = 0, **fields: Any) -> StartOrder:
    """An order with time enough for a busy machine."""
    plan = parse_plan(faults, seed)
    body = FaultsBody.model_validate({"scenario": plan.scenario, "seed": plan.seed, "script": plan.script})
    return StartOrder(faults=body, review=Review.NONE, deadline=90, **fields)


async def left_behind(lab: Shop, order_id: str) -> list[str]:
    """What the stack knows of an order that was refused: nothing."""
    rows = await lab.pool.fetch(
        "SELECT 'order' AS what FROM trellis_orders WHERE id = $1"
        " UNION ALL SELECT 'event' FROM trellis_events WHERE order_id = $1",
        order_id,
    )
    workflows = [each.id async for each in lab.client.list_workflows(f"WorkflowId = '{order_workflow_id(order_id)}'")]
    return [*(row["what"] for row in rows), *workflows]


async def test_lab_says_where_it_is_when_every_usual_port_is_taken(stack: Stack, orderkit: OrderkitClient) -> None:
    for name, port in PREFERRED.items():
        assert asdict(stack.ports)[name] != port
        assert any(str(port) in notice and str(asdict(stack.ports)[name]) in notice for notice in stack.notices)
    health = await orderkit.health()
    assert health.status == "ok", health
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(stack.ui_url)).status_code == 200
        assert (await http.get(f"{stack.api_url}/docs")).status_code == 200


async def test_same_plan_gives_the_same_attempts_as_on_the_command_line(orderkit: OrderkitClient, lab: Shop) -> None:
    # The command line runs the same order in tests/stack/test_cli.py.
    plan = FaultPlan(Scenario.WORKSHOP, 372)
    await orderkit.start("same-everywhere", order("workshop", 372))
    assert (await orderkit.wait("same-everywhere")).state == "shipped"
    attempts = [(str(a.step), a.attempt, a.outcome) for a in (await orderkit.attempts("same-everywhere")).attempts]
    assert attempts == predicted(plan, "same-everywhere", review=False)
    assert {outcome for _, _, outcome in attempts} == {"completed", "failed", "timed_out"}
    assert await lab.findings(OrderId("same-everywhere")) == []


ADDRESS = {"street": "1 Main Street", "city": "Springfield", "state": "IL", "zip": "62701"}
BAD_BODIES: dict[str, dict[str, Any]] = {
    "no-items": {"items": []},
    "quantity-0": {"items": [{"sku": "TEA", "qty": 0}]},
    "negative-price": {"items": [{"sku": "TEA", "unit_price": "-1"}]},
    "empty-address": {"initial_address": {}},
    "blank-street": {"initial_address": ADDRESS | {"street": "  "}},
    "absurd-zip": {"initial_address": ADDRESS | {"zip": "?!"}},
    "absurd-city": {"initial_address": ADDRESS | {"city": "123"}},
    "endless-street": {"initial_address": ADDRESS | {"street": "x" * 5_000}},
    "unknown-policy": {"policy": "hope"},
    "unknown-scenario": {"faults": {"scenario": "tornado"}},
    "unknown-step": {"faults": {"script": {"pray": ["error"]}}},
    "unknown-fault": {"faults": {"script": {"charge": ["explode"]}}},
    "unknown-field": {"discount": 100},
}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_bad_order_is_refused_and_leaves_nothing(stack: Stack, lab: Shop, name: str) -> None:
    async with httpx.AsyncClient(base_url=stack.api_url, trust_env=False) as http:
        answer = await http.post(f"/orders/{name}/start", json=BAD_BODIES[name])
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["message"]
    assert await left_behind(lab, name) == []


async def test_huge_body_and_id_with_a_slash_are_refused_and_leave_nothing(stack: Stack, lab: Shop) -> None:
    async with httpx.AsyncClient(base_url=stack.api_url, trust_env=False) as http:
        huge = await http.post("/orders/huge/start", json={"payment_id": "x" * 2**20})
        plain = await http.post("/orders/a/b/start", json={})
        encoded = await http.post("/orders/a%2Fb/start", json={})
    assert huge.status_code == 413
    assert plain.status_code in (404, 405) and encoded.status_code in (404, 405, 422)
    for answer in (huge, plain, encoded):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]
    assert [*await left_behind(lab, "huge"), *await left_behind(lab, "a/b")] == []


BAD_COMMANDS: dict[str, tuple[str, ...]] = {
    "cli-no-items": ("--item", ""),
    "cli-quantity-0": ("--item", "TEA,0,5"),
    "cli-negative-price": ("--item", "TEA,1,-5"),
    "cli-empty-address": ("--address", ""),
    "cli-absurd-address": ("--address", "?, ?, ?, ?"),
    "cli-absurd-city": ("--address", "1 Main Street, 123, IL, 62701"),
    "cli-megabyte": ("--item", f"{'x' * 2**20},1,1"),
    "cli-unknown-policy": ("--policy", "hope"),
    "cli-unknown-scenario": ("--faults", "tornado"),
}


@pytest.mark.parametrize("name", [*BAD_COMMANDS, "cli/with-a-slash"])
async def test_bad_command_is_refused_and_leaves_nothing(
    stack: Stack, lab: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    for variable, value in stack.environment().items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(sys, "argv", ["orderkit", "order", "start", name, *BAD_COMMANDS.get(name, ())])
    with pytest.raises(SystemExit) as caught:
        await asyncio.to_thread(run)
    said = capsys.readouterr().err
    assert caught.value.code == 1
    assert said.startswith(("error: InvalidOrder: ", "error: InvalidFaultPlan: ")) and said.count("\n") == 1
    assert await left_behind(lab, name) == []


async def test_order_started_twice_and_by_twenty_at_once_is_one_order(orderkit: OrderkitClient, lab: Shop) -> None:
    body = order(payment_id="pay-once")
    answers = await asyncio.gather(*(orderkit.start("once", body) for _ in range(20)))
    assert sorted(answer.created for answer in answers) == [False] * 19 + [True]
    assert (await orderkit.wait("once")).state == "shipped"
    assert (await orderkit.start("once", body)).created is False
    with pytest.raises(OrderConflict):
        await orderkit.start("once", order(payment_id="pay-twice"))
    attempts = await lab.attempts(OrderId("once"))
    assert len(attempts) == len({step for step, _, _ in attempts})
    charges = "SELECT count(*) FROM world.payment_entries WHERE order_id = 'once' AND kind = 'charge'"
    assert await lab.pool.fetchval(charges) == 1
    assert await lab.findings(OrderId("once")) == []


async def test_order_whose_worker_is_killed_finishes_and_shows_the_lost_attempt(
    stack: Stack, orderkit: OrderkitClient, lab: Shop
) -> None:
    await orderkit.start("killed", order("charge=hang,ok"))
    await lab.step_reached(OrderId("killed"), "charge")
    killed = await asyncio.to_thread(stack.kill, "worker-0")
    assert await asyncio.to_thread(stack.wait_running, "worker-0", other_than=killed) != killed
    status = await orderkit.wait("killed")
    assert status.state == "shipped"
    assert ("charge", 1, "lost") in [(error.step, error.attempt, error.outcome) for error in status.errors]
    attempts = (await orderkit.attempts("killed")).attempts
    assert [(a.attempt, a.outcome) for a in attempts if a.step is Step.CHARGE] == [(1, "lost"), (2, "completed")]
    assert attempts == sorted(attempts, key=lambda attempt: attempt.started_at)
    assert await lab.findings(OrderId("killed")) == []


async def test_crash_faults_really_kill_the_worker_and_the_order_ends_right(
    stack: Stack, orderkit: OrderkitClient, lab: Shop
) -> None:
    crashing = "charge=crash_after,ok; prepare=crash,ok"
    pids = {stack.pid("worker-0")}

    async def shipped() -> bool:
        pids.add(await asyncio.to_thread(stack.pid, "worker-0"))
        return (await orderkit.status("crashing")).state == "shipped"

    await orderkit.start("crashing", order(crashing))
    await until(shipped, "the order is shipped", timeout_seconds=60)
    assert len(pids - {None}) == 3
    assert await lab.attempts(OrderId("crashing")) == predicted(parse_plan(crashing), "crashing", review=False)
    charges = "SELECT count(*) FROM world.payment_entries WHERE order_id = 'crashing' AND kind = 'charge'"
    assert await lab.pool.fetchval(charges) == 1
    assert await lab.findings(OrderId("crashing")) == []
