"""`orderkit lesson …` on a lab that went astray, and a few rounds begun in the middle; `make rounds` runs them all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.classroom import notebook
from support.rounds import run_round
from support.terminal import Terminal
from workbench import Workbench, open_workbench

from orderkit.core.builds import UNVERSIONED
from orderkit.core.world import Service, ServiceState
from orderkit.lab import Lab
from orderkit.lessons.copies import find_lesson
from orderkit.lessons.lesson_12 import reconcile_schedule
from orderkit.lessons.settling import settle
from orderkit.stack.builds import start_build
from orderkit.stack.jupyter import notebook_text
from orderkit.store.world import read_switches, set_switch
from orderkit.temporal.deployments import Deployment


@pytest.fixture(scope="module")
def workbench() -> Iterator[Workbench]:
    with open_workbench() as workbench:
        yield workbench


@pytest.fixture
def terminal(workbench: Workbench, tmp_path: Path) -> Terminal:
    """A shell in a folder of its own; its lab is the workbench's."""
    return Terminal(tmp_path, {"ORDERKIT_HOME": str(workbench.stack.home), "HOME": str(tmp_path)})


async def put_astray(lab: Lab) -> None:
    """What people leave behind, all at once."""
    await lab.workers.start(2)
    await set_switch(await lab.open_pool(), Service.PAYMENTS, ServiceState.DOWN)
    await (await reconcile_schedule(lab)).pause(note="somebody was curious")
    deployment = Deployment(await lab.connect_temporal())
    environment = await lab.workers.make_room("extra-friday")
    build = await start_build(deployment, "friday", ("order-tq", "shipping-tq"), environment)
    await deployment.promote("friday")
    await build.stop()


async def test_reset_brings_the_lab_back(workbench: Workbench, terminal: Terminal) -> None:
    mine = terminal.folder / "notebooks" / "03_retries_and_timeouts.ipynb"
    mine.parent.mkdir()
    mine.write_text("mine")
    async with notebook(workbench.stack) as lab:
        await put_astray(lab)
        told = terminal.answer("lesson", "reset", "3")
        assert told["lesson"] == "03"
        assert told["notebook"] == str(mine)
        assert told["kept"].startswith(str(mine.with_suffix("")) + " (")
        assert told["settled"] == [
            "1 worker runs in place of 2",
            "the payment provider was down, and is up",
            "the reconcile schedule was paused, and runs",
            "new orders went to build friday, and go to the lab's worker",
        ]
        assert lab.workers.count == 1
        assert set((await read_switches(await lab.open_pool())).values()) == {ServiceState.UP}
        assert not (await (await reconcile_schedule(lab)).describe()).schedule.state.paused
        status = await Deployment(await lab.connect_temporal()).status()
        assert [each.build_id for each in status if each.share] == [UNVERSIONED]
        await lab.orders.start("tea", review="none")
        assert (await lab.orders.wait("tea")).state == "shipped"
        assert await settle(lab) == []


def test_a_stopped_worker_is_started(workbench: Workbench, terminal: Terminal) -> None:
    workbench.stack.stop_program("worker-0")
    shown = terminal.run("lesson", "solve", "05")
    assert shown.returncode == 0, shown.stderr
    assert "notebooks/05_money_is_right.ipynb: a copy with the exercise solved" in shown.stdout
    assert "kept" not in shown.stdout
    assert "Reload Notebook from Disk" in shown.stdout
    assert workbench.stack.workers() == ["worker-0"]
    laid = (terminal.folder / "notebooks" / "05_money_is_right.ipynb").read_text()
    assert laid == notebook_text(find_lesson("05").solved())


def test_goto_lays_the_copy_that_begins_there(terminal: Terminal) -> None:
    told = terminal.answer("lesson", "goto", "02", "--round", "exercise")
    assert told["settled"] == [] and told["kept"] is None
    assert Path(told["notebook"]).read_text() == notebook_text(find_lesson("02").at("exercise"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["reset", "tea"], "LessonNotFound: there is no lesson 'tea'; there are: 00 start here, 01 order lifecycle, "),
        (["solve", "13"], "LessonNotFound: there is no lesson '13'; there are: 00 start here, 01 order lifecycle, "),
        (["goto", "12", "-r", "5"], "LessonNotFound: lesson 12 has no round '5'; it has: 1, 2, 3, 4, exercise"),
    ],
    ids=["reset", "solve", "goto"],
)
def test_a_typing_mistake_is_named_and_starts_nothing(words: list[str], told: str, tmp_path: Path) -> None:
    done = Terminal(tmp_path, {"HOME": str(tmp_path)}).run("lesson", *words)
    assert done.returncode == 1
    assert told in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("lesson", "round"),
    [("05", "5"), ("08", "3"), ("10", "2")],
    ids=["orders that were killed, cancelled, terminated", "builds", "a workflow of a cell"],
)
def test_a_round_shows_the_same_when_it_is_the_first_that_is_run(
    lesson: str, round: str, workbench: Workbench, tmp_path: Path
) -> None:
    run = run_round(find_lesson(lesson), round, workbench, tmp_path)
    assert run.failures == ()
