"""The built wheel in a virtual environment and a folder of its own: what somebody without the repository gets."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from support.terminal import BIN, Terminal, processes_below, until

from orderkit.stack.jupyter import FIRST_NOTEBOOK
from orderkit.stack.lifecycle import down
from orderkit.stack.tcp_ports import another

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the repository as it is; needs no network where hatchling is installed."""
    folder = tmp_path_factory.mktemp("dist")
    offline = ["--no-isolation"] if importlib.util.find_spec("hatchling") else []
    run(sys.executable, "-m", "build", "--wheel", *offline, "--outdir", str(folder), str(ROOT))
    return next(folder.glob("orderkit-*.whl"))


@pytest.fixture(scope="module")
def orderkit(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of a fresh environment that holds the wheel and nothing else.

    What the wheel depends on is borrowed from this environment, by a .pth file and a link to the program `temporal`: to
    download 220 MB in a test would need a network and minutes. orderkit itself is the wheel's, which comes first.
    """
    environment = tmp_path_factory.mktemp("venv")
    venv.create(environment, with_pip=False, symlinks=True)
    python = environment / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "-q", str(wheel))
    packages = next(environment.glob("lib/python*/site-packages"))
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    (environment / "bin" / "temporal").symlink_to(BIN / "temporal")
    where = run(str(python), "-c", "import orderkit; print(orderkit.__file__)").strip()
    assert Path(where).is_relative_to(environment), where
    return environment / "bin" / "orderkit"


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=Path(sys.prefix))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def learner(orderkit: Path, tmp_path: Path) -> Iterator[Terminal]:
    """Somebody in an empty folder; afterwards nothing of theirs runs, and their home is as empty as before."""
    home, folder = tmp_path / "home", tmp_path / "an empty folder"
    home.mkdir()
    folder.mkdir()
    try:
        yield Terminal(folder, {"HOME": str(home)}, orderkit)
        assert processes_below(tmp_path) == []
        assert list(home.iterdir()) == []
    finally:
        down(folder / ".orderkit")


def test_wheel_carries_sql_and_notebooks_and_no_more(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert f"orderkit/_notebooks/{FIRST_NOTEBOOK}" in names
    assert f"orderkit/_notebooks/solutions/{FIRST_NOTEBOOK}" in names
    assert f"orderkit/_notebooks/de/{FIRST_NOTEBOOK}" in names
    assert [name for name in names if "_notebooks/" in name and not name.endswith(".ipynb")] == []
    assert any(name.startswith("orderkit/_sql/migrations/") for name in names)
    assert any(name.startswith("orderkit/_sql/queries/") for name in names)
    name = wheel.name.removesuffix("-py3-none-any.whl")
    assert {each.split("/")[0] for each in names} == {"orderkit", f"{name}.dist-info", f"{name}.data"}
    data = [each.removeprefix(f"{name}.data/data/") for each in names if each.startswith(f"{name}.data/")]
    extension = "share/jupyter/labextensions/orderkit"
    assert sorted(data) == [f"{extension}/package.json", f"{extension}/static/orderkit.js"]


def test_demo_works_in_an_empty_folder(learner: Terminal) -> None:
    shown = learner.run("demo")
    assert shown.returncode == 0, shown.stderr
    assert "shipped; payment charged 50.90" in shown.stdout
    assert [path.name for path in learner.folder.iterdir()] == [".orderkit"]
    assert learner.run("status").returncode == 1  # it has stopped what it started


def test_lab_lays_the_notebooks_serves_them_and_ends_with_ctrl_c(learner: Terminal) -> None:
    mine = {"cells": [], "metadata": {"mine": True}, "nbformat": 4, "nbformat_minor": 5}
    home = learner.folder / ".orderkit"
    with lab(learner) as (url, token):
        assert contents(url, None) == 403
        assert contents(url, token) == 200
        laid = {path.name for path in (learner.folder / "notebooks").glob("*.ipynb")}
        assert FIRST_NOTEBOOK in laid
        (learner.folder / "notebooks" / FIRST_NOTEBOOK).write_text(json.dumps(mine))
        # The terminal beside it, and a cell, find the same stack, and leave it running.
        assert learner.answer("demo")["status"]["state"] == "shipped"
        assert learner.answer("status")
        # Its terminal and its cells find the command.
        [server] = (home / "jupyter" / "runtime").glob("jpserver-*.json")
        path = psutil.Process(json.loads(server.read_text())["pid"]).environ()["PATH"]
        assert path.split(os.pathsep)[0] == str(learner.orderkit.parent)
        # From anywhere, a lesson is laid where JupyterLab shows it.
        anywhere = Terminal(
            learner.folder.parent, {**learner.environment, "ORDERKIT_HOME": str(home)}, learner.orderkit
        )
        told = anywhere.answer("lesson", "solve", "03")
        assert told["notebook"] == str(learner.folder / "notebooks" / "03_retries_and_timeouts.ipynb")
        assert Path(told["kept"]).parent == learner.folder / "notebooks"
    assert processes_below(learner.folder) == []
    with lab(learner, end_with=signal.SIGKILL) as (url, token):
        assert contents(url, token) == 200
        assert [each["state"] for each in learner.answer("order", "list")["orders"]] == ["shipped"]
    # Nobody was left to stop anything; `down` finds all of it later, JupyterLab too.
    assert {"jupyter", "postgres", "temporal", "worker-0", "api"} <= set(learner.answer("down")["ended"])
    assert json.loads((learner.folder / "notebooks" / FIRST_NOTEBOOK).read_text()) == mine
    assert {path.name for path in learner.folder.iterdir()} == {".orderkit", "notebooks"}


@contextmanager
def lab(learner: Terminal, end_with: signal.Signals = signal.SIGINT) -> Iterator[tuple[str, str]]:
    """`orderkit lab` until the block ends; gives JupyterLab's address and token."""
    log = learner.folder / ".orderkit" / "lab.log"
    log.parent.mkdir(exist_ok=True)
    log.unlink(missing_ok=True)
    process = learner.start("lab", "--no-browser", "--port", str(another({})), log=log)
    try:
        until(lambda: "Ctrl-C" in log.read_text() or process.poll() is not None, "JupyterLab is there", 60)
        found = re.search(r"JupyterLab: (http://127\.0\.0\.1:\d+)/lab/tree/(\S+)\?token=(\S+)", log.read_text())
        assert found, log.read_text()
        assert found[2] == FIRST_NOTEBOOK
        yield found[1], found[3]
        for _ in range(2):  # people are impatient
            process.send_signal(end_with)
        assert process.wait(30) in (0, -signal.SIGKILL)  # Ctrl-C is the usual way to end it
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(5)


def contents(url: str, token: str | None) -> int:
    """How JupyterLab answers to somebody who wants the first notebook."""
    with httpx.Client(trust_env=False) as http:
        return http.get(f"{url}/api/contents/{FIRST_NOTEBOOK}", params={"token": token} if token else {}).status_code
