"""`%%workflow` on a whole lab: every error of the first ten minutes, workers that leave nothing behind, open runs."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio
from jupyter_client.manager import start_new_kernel
from support.classroom import notebook, whole_lab
from support.learner_errors import CASES, CELL, Case, changed, said

from orderkit.errors import CellRefused, LabError, RunEnded, WaitExpired
from orderkit.lab import Lab
from orderkit.stack.lifecycle import down
from orderkit.stack.processes import alive
from orderkit.stack.stack import Stack
from orderkit.stack.target import Target

BUSY_SECONDS = 15  # 2 on a quiet machine: `python -m support.learner_errors` measures


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with whole_lab(tmp_path_factory.mktemp("cells")) as stack:
        yield stack


@pytest_asyncio.fixture(scope="module")
async def lab(stack: Stack) -> AsyncIterator[Lab]:
    async with notebook(stack) as lab:
        yield lab


def serving(stack: Stack) -> list[int]:
    return [each.pid for each in stack.extra()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_an_error_of_the_first_ten_minutes_is_told_with_its_line(lab: Lab, case: Case) -> None:
    told, lines, seconds = await said(lab, case)
    assert case.told in told
    if case.line:
        assert case.line in lines or f"line {case.line} of the cell" in told
    assert seconds < BUSY_SECONDS


async def test_a_cell_runs_again_and_again_with_one_worker_and_an_open_run_goes_on(lab: Lab, stack: Stack) -> None:
    told = {repr(lab.workflows.define(CELL)) for _ in range(2)}
    assert told == {"tea.py: workflow Tea; activity boil; its worker runs"}
    await lab.workflows.start("Tea", 2)
    with pytest.raises(WaitExpired):
        await lab.workflows.wait("tea", within_seconds=0.3)
    before = serving(stack)
    lab.workflows.define(changed('f"tea for', 'f"hot tea for'))
    assert len(serving(stack)) == len(before) == 1
    assert serving(stack) != before
    await lab.workflows.signal("tea", "arrived", "ada")
    assert repr(await lab.workflows.wait("tea")) == "Run tea: completed: 'hot tea for ada, from 1 l'"
    with pytest.raises(RunEnded, match="run tea has ended, so it takes no signal"):
        await lab.workflows.signal("tea", "arrived", "bob")
    history = await lab.workflows.history("tea")
    assert history["name"].tolist() == ["Tea", "boil", "boil", "boil", "arrived", ""]


async def test_a_refused_cell_leaves_the_worker_its_code_and_its_file(lab: Lab, stack: Stack) -> None:
    lab.workflows.define(CELL)
    before, file = serving(stack), lab.workflows.file("tea")
    with pytest.raises(CellRefused):
        lab.workflows.define(f"import nothere\n{CELL}")
    assert (serving(stack), "nothere" in await asyncio.to_thread(file.read_text)) == (before, False)
    await asyncio.to_thread(file.write_text, "raise RuntimeError('a file that an editor has left half written')")
    await lab.workflows.start("Tea", 2)  # Temporal's sandbox loads the code again for each run
    await lab.workflows.signal("tea", "arrived", "ada")
    assert (await lab.workflows.wait("tea")).state == "completed"


async def test_a_mended_cell_carries_a_failing_run_on(lab: Lab) -> None:
    lab.workflows.define(changed("        water =", "        self.gest.upper()\n        water ="))
    await lab.workflows.start("Tea", 2)
    with pytest.raises(WaitExpired, match="line 17 of the cell"):
        await lab.workflows.wait("tea")
    lab.workflows.define(CELL)
    await lab.workflows.signal("tea", "arrived", "ada")
    assert (await lab.workflows.wait("tea")).state == "completed"


async def test_what_the_code_fails_with_and_refuses_is_told(lab: Lab) -> None:
    failing = changed("        water =", "        raise ApplicationError('no water', type='Dry')\n        water =")
    query = "    @workflow.query\n    def who(self) -> str:\n        return self.guest\n\n    @workflow.run\n"
    lab.workflows.define(failing.replace("    @workflow.run\n", query))
    await lab.workflows.start("Tea", 2, name="dry")
    assert repr(await lab.workflows.wait("dry")) == "Run dry: failed: Dry: no water"
    assert await lab.workflows.query("dry", "who") == ""
    with pytest.raises(LabError, match="run dry refuses query whom"):
        await lab.workflows.query("dry", "whom")
    forgotten = lab.workflows.start("Tea", 2)
    with pytest.raises(LabError, match="put await before the call"):
        await lab.workflows.wait(forgotten)  # type: ignore[arg-type]
    forgotten.close()


async def test_a_module_of_activities_is_imported_by_the_next_cell(lab: Lab, stack: Stack) -> None:
    activities, _, workflow = CELL.partition("@workflow.defn\n")
    told = repr(lab.workflows.define(activities, "kitchen"))
    assert told == "kitchen.py: activity boil; no workflow in it, so no worker"
    told = repr(lab.workflows.define(f"from kitchen import boil\n\n@workflow.defn\n{workflow}"))
    assert told == "tea.py: workflow Tea; activity boil; its worker runs"
    with pytest.raises(CellRefused, match="Python has a module calendar already"):
        lab.workflows.define(activities, "calendar")
    assert lab.workflows.define(CELL.replace("Tea", "Calendar")).name == "calendar_workflow"


async def test_orders_are_not_touched(lab: Lab, stack: Stack) -> None:
    lab.workflows.define(CELL)
    (process,) = [each for each in stack.extra() if each.environ()["ORDERKIT_LAB_NAME"] == "own-tea"]
    assert "ORDERKIT_DATABASE_URL" not in process.environ()
    await lab.orders.start("cup", review="none")
    assert (await lab.orders.wait("cup")).state == "shipped"
    assert not (await lab.audit("cup")).findings


async def test_a_worker_that_has_ended_is_told_by_the_wait(lab: Lab, stack: Stack) -> None:
    lab.workflows.define(CELL)
    await lab.workflows.start("Tea", 2)
    await lab.workers.start(1)  # which ends what runs beside the lab's own workers
    assert serving(stack) == []
    with pytest.raises(WaitExpired, match="its worker has ended: run the %%workflow cell of Tea again"):
        await lab.workflows.wait("tea", within_seconds=0.2)
    await lab.workflows.terminate("tea")


def test_the_magic_in_a_kernel_and_no_worker_outlives_it(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    manager, client = start_new_kernel(kernel_name="python3", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        outputs: list[str] = []

        def show(message: dict[str, Any]) -> None:
            content = message["content"]
            outputs.append(content.get("data", {}).get("text/plain") or content.get("evalue") or "")

        start = f"from orderkit.lab import Lab\nlab = await Lab.start({str(stack.home)!r})"
        for cell in (start, f"%%workflow\n{CELL}", f"%%workflow\n{CELL}", "%%workflow\nclass Tea\n"):
            client.execute_interactive(cell, timeout=60, output_hook=show)
        told = list(filter(None, outputs))[-3:]
        assert told[:2] == ["tea.py: workflow Tea; activity boil; its worker runs"] * 2
        assert told[2] == "line 2: Python cannot read this: expected ':'\n    class Tea"
        (worker,) = serving(stack)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    psutil.Process(worker).wait(10)


def test_down_ends_it_with_the_lab(stack: Stack) -> None:
    lab = Lab(Target.of_stack(stack))
    lab.workflows.define(CELL)
    (worker,) = stack.extra()
    down(stack.home)
    assert not alive(worker)
    lab.workflows.close()
