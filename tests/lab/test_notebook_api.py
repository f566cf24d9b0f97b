"""What notebooks hold in their hand, on a whole lab: orders by name, waits that explain themselves, controls, checks.

One file, though long: its tests share one lab.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from support.shop import until
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from orderkit.core.faults import Scenario, decide, parse_plan
from orderkit.core.steps import Step
from orderkit.errors import InvalidOrder, LabError, OrderClosed, OrderConflict, OrderNotFound, WaitExpired
from orderkit.lab import Lab, source
from orderkit.lab.numbering import plan_of
from orderkit.lessons import lesson_00, verdicts
from orderkit.stack.lifecycle import down, up
from orderkit.stack.stack import Stack
from orderkit.stack.status import status
from orderkit.stack.target import Target


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A whole lab; the environment is what it was afterwards, since Lab.start leads the process to its stack."""
    home: Path = tmp_path_factory.mktemp("notebook") / ".orderkit"
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
    yield lab
    await lab.close()


@pytest_asyncio.fixture
async def another_notebook(stack: Stack) -> AsyncIterator[Lab]:
    lab = await Lab.start(stack.home)
    yield lab
    await lab.close()


async def shipped(lab: Lab, name: str, faults: str = "calm", **more: object) -> str:
    """Start an order without review, and wait for its end."""
    await lab.orders.start(name, review="none", faults=faults, **more)  # type: ignore[arg-type]
    return (await lab.orders.wait(name)).state


async def test_order_shows_its_state_and_nothing_that_changes(lab: Lab) -> None:
    order = await lab.orders.start("seen", review="none", faults="charge=error,ok")
    assert repr(order) == "Order seen: started"
    order = await lab.orders.wait(order)
    assert repr(order) == "Order seen: shipped"
    assert "charge ✖✔" in order._repr_html_()
    assert "50.90" in order._repr_html_()


def html_of(shown: Any) -> str:
    """As a notebook shows it."""
    return str(shown._repr_html_())


async def test_name_is_used_again_and_everything_shown_is_the_same(lab: Lab, another_notebook: Lab) -> None:
    shown = []
    ids = []
    for each in (lab, another_notebook, another_notebook):
        order = await each.orders.start("again", review="none", faults="workshop", seed=3)
        order = await each.orders.wait(order)
        ids.append(order.id)
        tables = [await each.orders.attempts("again"), await each.orders.timeline("again")]
        tables += [await each.orders.events("again"), await each.orders.ledger("again")]
        shown.append([repr(order), order._repr_html_(), *map(repr, tables), *map(html_of, tables)])
    assert ids == ["again", "again-2", "again-3"]
    assert shown[0] == shown[1] == shown[2]
    assert "failed" in shown[0][2]  # the scenario did strike


async def test_error_calls_the_order_by_its_name(another_notebook: Lab) -> None:
    for _ in range(2):
        assert await shipped(another_notebook, "named") == "shipped"
    with pytest.raises(OrderClosed, match=r"^order named has ended: it is shipped$"):
        await another_notebook.orders.cancel("named")


async def test_repeated_request_starts_nothing(lab: Lab) -> None:
    first = await lab.orders.start("once", review="none")
    assert (await lab.orders.start("once", review="none", fresh=False)).id == first.id
    with pytest.raises(OrderConflict):
        await lab.orders.start("once", review="human", fresh=False)


async def test_order_of_an_earlier_notebook_is_found_by_name(lab: Lab, another_notebook: Lab) -> None:
    order = await lab.orders.start("found", review="none")
    assert (await another_notebook.orders.wait("found")).id == order.id
    with pytest.raises(OrderNotFound, match="start it first"):
        await another_notebook.orders.status("never")


def test_numbered_order_keeps_the_draws_of_its_name() -> None:
    plan = parse_plan("storm; charge=hang", seed=5)
    for number in (1, 2, 9):
        numbered = plan_of(plan, "tea", number)
        assert numbered.scenario is Scenario.STORM
        for step in Step:
            drawn = [decide(numbered, f"tea-{number}" if number > 1 else "tea", step, n) for n in range(1, 101)]
            assert drawn == [decide(plan, "tea", step, n) for n in range(1, 101)]


async def test_bad_order_is_refused_with_every_problem_named(lab: Lab) -> None:
    with pytest.raises(InvalidOrder, match=r"policy.*deadline|deadline.*policy"):
        await lab.orders.start("bad", policy="brave", deadline=0)


async def test_wait_says_that_nobody_polls_the_queues(lab: Lab) -> None:
    await lab.workers.stop()
    try:
        assert repr(lab.workers) == "0 workers"
        await lab.orders.start("alone", review="none")
        with pytest.raises(WaitExpired, match=r"(?s)order alone has not ended within 5 s.*no worker polls order-tq"):
            await lab.orders.wait("alone", 5)
    finally:
        await lab.workers.start()
    assert (await lab.orders.wait("alone")).outcome == "shipped"


@workflow.defn(name="OrderWorkflow")
class BrokenWorkflow:
    @workflow.run
    async def run(self, order: dict) -> str:  # type: ignore[type-arg]
        return str(order["colour"])  # no such key


async def test_wait_shows_the_error_of_a_workflow_task_and_its_line(lab: Lab, stack: Stack) -> None:
    await lab.workers.stop()
    try:
        client = await Client.connect(stack.temporal_address)
        runner = UnsandboxedWorkflowRunner()
        async with Worker(client, task_queue="order-tq", workflows=[BrokenWorkflow], workflow_runner=runner):
            order = await lab.orders.start("broken", review="none")
            with pytest.raises(WaitExpired) as expired:
                await lab.orders.wait(order, 3)
        await client.get_workflow_handle(order.workflow_id).terminate()
    finally:
        await lab.workers.start()
    told = next(line for line in expired.value.evidence if "workflow task" in line)
    assert "KeyError: 'colour'" in told
    assert "test_notebook_api.py, line" in told
    assert 'order["colour"]' in told


async def test_wait_says_that_the_workflow_was_terminated(lab: Lab, stack: Stack) -> None:
    order = await lab.orders.start("ended", review="human")
    await lab.orders.wait(order, until="in_review")
    client = await Client.connect(stack.temporal_address)
    await client.get_workflow_handle(order.workflow_id).terminate(reason="by mistake")
    with pytest.raises(
        WaitExpired, match=r"ended was terminated \(by mistake\) and does nothing more; .* orderkit rec"
    ):
        await lab.orders.wait(order, 0.5)


async def test_wait_says_which_step_is_on_which_attempt(lab: Lab) -> None:
    await lab.orders.start("slow", review="none", faults="charge=error,hang,ok", deadline=60)
    with pytest.raises(WaitExpired, match=r"charge is on attempt 2 of 3, .*the one before: failed: InjectedError"):
        await lab.orders.wait("slow", 2.5)
    assert (await lab.orders.wait("slow")).outcome == "shipped"


async def test_wait_for_a_state_then_decide(lab: Lab) -> None:
    await lab.orders.start("reviewed", review="human")
    assert (await lab.orders.wait("reviewed", until="in_review")).state == "in_review"
    with pytest.raises(WaitExpired, match="waits for a person"):
        await lab.orders.wait("reviewed", 0.5)
    assert await lab.orders.reject("reviewed", note="too dear", via="update")
    order = await lab.orders.wait("reviewed")
    assert (order.outcome, order.reason) == ("cancelled", "rejected in review: too dear") or order.reason
    with pytest.raises(InvalidOrder, match=r"until: 'happy' is not known; use one of: .*in_review"):
        await lab.orders.wait("reviewed", until="happy")


async def test_killed_worker_is_replaced_and_its_attempt_is_lost(lab: Lab, stack: Stack) -> None:
    before = stack.pid("worker-0")
    await lab.orders.start("brave", review="none", faults="charge=slow(2000)", deadline=60)
    await lab.orders.wait("brave", until="charge")
    await lab.workers.kill()
    assert stack.pid("worker-0") != before
    assert (await lab.orders.wait("brave")).outcome == "shipped"
    attempts = await lab.orders.attempts("brave")
    assert attempts[attempts["step"] == "charge"]["outcome"].tolist()[0] == "lost"
    assert repr(await lab.audit("brave")) == "1 order audited: history, tables and ledgers agree"


@pytest.mark.parametrize("program", ["postgres", "temporal", "api"])
async def test_killed_server_serves_again_when_kill_returns(lab: Lab, stack: Stack, program: str) -> None:
    before = stack.pid(program)
    await getattr(lab, program).kill()
    assert stack.pid(program) not in (before, None)
    assert await shipped(lab, f"after-{program}", deadline=60) == "shipped"
    assert len(await lab.orders.attempts(f"after-{program}")) >= 6


async def test_history_agrees_with_the_attempts(lab: Lab) -> None:
    assert await shipped(lab, "told", "charge=error,ok") == "shipped"
    history = await lab.orders.history("told")
    scheduled = history[history["type"] == "ACTIVITY_TASK_SCHEDULED"]["name"].tolist()
    assert len(scheduled) == (await lab.orders.attempts("told"))["step"].nunique()
    assert "/namespaces/default/workflows/order-told" in repr(await lab.orders.links("told"))


async def test_chart_shows_itself(lab: Lab) -> None:
    await shipped(lab, "drawn", "charge=error,ok")
    assert (await lab.charts.timeline("drawn"))._repr_png_().startswith(b"\x89PNG")


async def test_lab_says_what_runs_and_what_is_wrong(lab: Lab) -> None:
    assert repr(lab) == "Lab: postgres running, temporal running, worker-0 running, api running"
    report = await lab.doctor()
    assert list(report.columns) == ["ok", "check", "found", "what to do"]
    assert "✖" not in report["ok"].tolist()


async def test_a_second_worker_that_was_stopped_again_is_not_missed(lab: Lab, stack: Stack) -> None:
    before = repr(lab)
    await lab.workers.start(2)
    assert "worker-1 running" in repr(lab)
    await lab.workers.start(1)
    assert repr(lab) == before
    rows = {row.name: row.state for row in status(stack.home)}
    assert "worker-1" not in rows and set(rows.values()) == {"running"}


async def test_lab_of_a_target_without_a_stack_is_only_connected_to(stack: Stack) -> None:
    """As a command has it that was told of an API."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stack.environment().items():
            patch.setenv(name, value)
        lab = Lab(Target.from_environment())
    assert repr(lab) == "Lab: the servers that the environment names"
    assert await shipped(lab, "outside") == "shipped"
    with pytest.raises(LabError, match=r"no lab was started here: lab = await Lab\.start\(\)"):
        await lab.workers.kill()
    await lab.close()


async def test_server_that_is_killed_stays_away_as_long_as_it_is_told(lab: Lab) -> None:
    """A timer that is due meanwhile fires when Temporal is back."""
    await lab.orders.start("away", review_seconds=1, deadline=60)
    await lab.orders.wait("away", until="in_review")

    async def timer_has_started() -> bool:
        history = await lab.orders.history("away", full=True)
        return bool(((history["type"] == "TIMER_STARTED") & (history["name"] == "2")).any())

    await until(timer_has_started, "the review's timer runs")
    await lab.temporal.kill(away_seconds=3)
    assert (await lab.orders.wait("away")).state == "shipped"
    history = await lab.orders.history("away", full=True)
    started, fired = history[history["type"].isin(["TIMER_STARTED", "TIMER_FIRED"]) & (history["name"] == "2")]["ts"]
    assert (fired - started).total_seconds() > 2


async def test_exercise_of_lesson_00(another_notebook: Lab) -> None:
    """Empty, wrong in the likely ways, right: each time something useful, and a plainer hint."""
    lab = another_notebook
    verdicts._tries.clear()
    empty = await lesson_00.two_failed_charges(lab, "ex")
    assert not empty
    assert "no order ex was started" in repr(empty)
    assert "Hint 1 of 3" in repr(empty)

    await shipped(lab, "ex", "charge=error,ok")
    once = await lesson_00.two_failed_charges(lab, "ex")
    assert "✖ charge had 2 attempts, and 1 failed; it should fail twice, then succeed" in repr(once)
    assert "Hint 2 of 3" in repr(once)

    await shipped(lab, "ex", "charge=error,error,error")
    thrice = await lesson_00.two_failed_charges(lab, "ex")
    assert "✖ order ex is failed, because of: charge: " in repr(thrice)
    assert "Hint 3 of 3" in repr(thrice)

    await shipped(lab, "ex", "prepare=error,error,ok")
    other = await lesson_00.two_failed_charges(lab, "ex")
    assert "but prepare did" in repr(other)

    await lab.orders.start("ex", review="human")
    assert "has not ended: wait for it" in repr(await lesson_00.two_failed_charges(lab, "ex"))

    await shipped(lab, "ex", "charge=error,error,ok")
    right = await lesson_00.two_failed_charges(lab, "ex")
    assert right, right
    assert "Hint" not in repr(right)


def test_source_shows_code() -> None:
    assert repr(source(parse_plan)).startswith("def parse_plan(")


def test_the_lab_package_loads_nothing_heavy() -> None:
    code = "import orderkit.lab, sys; print([m for m in ('pandas', 'matplotlib', 'temporalio') if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
