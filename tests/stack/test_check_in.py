"""`orderkit check-in`: every check can fail, the code says which did, and what it started is ended."""

from __future__ import annotations

import platform
import signal
import sys
import tempfile
import webbrowser
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from support.terminal import Terminal, processes_below, until

from orderkit.cli.check_in import _examine
from orderkit.doctor import check_in, machine
from orderkit.doctor.kernel import run_in_kernel
from orderkit.doctor.machine import Check
from orderkit.errors import LabError
from orderkit.settings import find_home
from orderkit.stack import jupyter, lifecycle, temporal
from orderkit.stack.secrets import make_secrets
from orderkit.stack.stack import Stack
from orderkit.stack.tcp_ports import choose

Patch = pytest.MonkeyPatch


def terminal_in(place: Path, **more: str) -> Terminal:
    """A shell whose home, folder and temporary files are all here."""
    for name in ("home", "folder", "tmp"):
        (place / name).mkdir()
    variables = {"HOME": str(place / "home"), "TMPDIR": str(place / "tmp"), "DISPLAY": "", "BROWSER": "", **more}
    return Terminal(place / "folder", {**variables, "WAYLAND_DISPLAY": "", "WSL_DISTRO_NAME": ""})


def test_what_fails_is_in_the_code_and_its_own_lab_leaves_nothing(tmp_path: Path) -> None:
    terminal = terminal_in(tmp_path)
    lab = terminal.folder / ".orderkit"
    lab.mkdir()
    (lab / "stack.json").write_text("not JSON")
    found = terminal.answer("check-in", status=1)
    checks = {check["name"]: check for check in found["checks"]}
    assert sorted(checks) == sorted(check_in.NAMES)
    wrong = {name for name, check in checks.items() if not check["ok"]}
    assert {"folder", "browser"} <= wrong <= {"folder", "browser", "memory", "processors"}
    assert all(checks[name]["remedy"] for name in wrong)
    told = terminal.answer("check-in", "--read", found["code"].lower().replace("-", " "))
    assert {each["name"] for each in told["failed"]} == wrong
    assert told["version"] == found["version"]
    assert processes_below(tmp_path) == []
    assert [list((tmp_path / name).iterdir()) for name in ("home", "tmp")] == [[], []]
    mistyped = terminal.run("check-in", "--read", f"{found['code'][:-1]}?")
    assert (mistyped.returncode, "ask for it again" in mistyped.stderr) == (1, True)


def test_interrupted_it_ends_what_it_started(tmp_path: Path) -> None:
    terminal = terminal_in(tmp_path)
    running = terminal.start("check-in", log=tmp_path / "log")
    until(lambda: len(processes_below(tmp_path / "tmp")) > 3, "its lab starts")
    running.send_signal(signal.SIGINT)
    assert running.wait(30) == 130, (tmp_path / "log").read_text()
    assert processes_below(tmp_path) == []
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_lab_that_does_not_start_fails_both_checks_that_need_it(tmp_path: Path, monkeypatch: Patch) -> None:
    def refuse(*_: object, **__: object) -> Stack:
        raise LabError("PostgreSQL dies as soon as it starts")

    monkeypatch.setattr(lifecycle, "up", refuse)
    monkeypatch.setenv("ORDERKIT_HOME", str(tmp_path / "no lab here"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = {check.name: check for check in _examine()}
    assert found.keys() == set(check_in.NAMES)
    assert found["order"].detail == "the lab does not start: PostgreSQL dies as soon as it starts"
    assert (found["order"].ok, found["jupyter"].ok) == (False, False)
    assert list(tmp_path.iterdir()) == []


def demanding(folder: Path, patch: Patch) -> Check:
    """A package that needs one which is too old here, and one that is not here."""
    info = folder / "demanding-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: demanding\nVersion: 1\nRequires-Dist: httpx>=999\n"
        "Requires-Dist: nowhere-to-be-found\nRequires-Dist: another-one; sys_platform == 'x'\n"
    )
    patch.syspath_prepend(str(folder))
    check = machine.check_packages("demanding")
    assert "httpx is " in check.detail
    assert "nowhere-to-be-found is not installed" in check.detail
    assert "another-one" not in check.detail
    return check


def from_the_machine(name: str) -> Check:
    return next(check for check in check_in.examine_machine() if check.name == name)


def old_python(_: Path, patch: Patch) -> Check:
    patch.setattr(machine, "OLDEST_PYTHON", (9, 9))
    return from_the_machine("python")


def windows(_: Path, patch: Patch) -> Check:
    patch.setattr(platform, "release", lambda: "5.15-microsoft-standard")
    patch.setattr(Path, "cwd", lambda: Path("/mnt/c/orderkit"))
    return check_in._joined("system", list(machine.check_platform())[1:])


def no_program(_: Path, patch: Patch) -> Check:
    def missing() -> Path:
        raise LabError("the program `temporal` is missing")

    patch.setattr(temporal, "binary", missing)
    return from_the_machine("programs")


def full_disk(folder: Path, _: Patch) -> Check:
    return check_in._joined("disk", list(machine.check_folder(folder, least_mb=10**12))[1:])


def no_ports(_: Path, patch: Patch) -> Check:
    def none(chosen: object) -> int:
        raise OSError("500 ports were tried and none is free")

    patch.setattr(check_in, "another", none)
    return check_in.check_free_ports(None)


def damaged_lesson(folder: Path, _: Patch) -> Check:
    assert not check_in.check_lessons(folder).ok
    (folder / "00_start_here.ipynb").write_text("{")
    return check_in.check_lessons(folder)


def unstarted(folder: Path) -> Stack:
    """A lab of which nothing runs; it has no folder for logs."""
    return Stack(folder, choose(None, {})[0], make_secrets(folder))


def text_browser(_: Path, patch: Patch) -> Check:
    for name in ("JUPYTERHUB_SERVICE_PREFIX", "WSL_DISTRO_NAME"):
        patch.delenv(name, raising=False)
    patch.setenv("DISPLAY", ":0")
    for command in ("lynx", "a-browser-that-is-not-here %s"):
        patch.setattr(webbrowser, "get", lambda name=command: webbrowser.GenericBrowser([name, "%s"]))
        assert jupyter.browser_trouble()
    return from_the_machine("browser")


def damaged_lab(folder: Path, patch: Patch) -> Check:
    patch.setenv("ORDERKIT_HOME", str(folder))
    assert find_home() == folder
    (folder / "stack.json").write_text("not JSON")
    return from_the_machine("folder")


FAILING: dict[str, Callable[[Path, Patch], Check]] = {
    "python": old_python,
    "system": windows,
    "packages": demanding,
    "programs": no_program,
    "disk": full_disk,
    "memory": lambda *_: machine.check_memory(least_mb=10**9),
    "processors": lambda *_: machine.check_processors(least=10**4),
    "folder": damaged_lab,
    "ports": no_ports,
    "lessons": damaged_lesson,
    "order": lambda folder, _: check_in.check_order(unstarted(folder)),
    "jupyter": lambda folder, _: check_in.check_jupyter(unstarted(folder)),
    "browser": text_browser,
}


@pytest.mark.skipif(sys.platform == "win32", reason="the lab runs in WSL")
@pytest.mark.parametrize("name", check_in.NAMES)
def test_every_check_can_fail_and_says_what_to_do(name: str, tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.delenv("ORDERKIT_DATABASE_URL", raising=False)
    check = FAILING[name](tmp_path, monkeypatch)
    assert (check.name, check.ok) == (name, False)
    assert check.detail
    assert check.remedy


def test_a_containers_limit_counts_as_memory(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text(f"{512 * 2**20}\n")
    assert machine.check_memory(least_mb=500, limit=limit).detail == "512 MB free"
    assert not machine.check_memory(least_mb=600, limit=limit).ok
    limit.write_text("max\n")
    assert machine.check_memory(least_mb=1, limit=limit).detail != "512 MB free"


async def test_a_kernel_says_why_it_cannot_use_orderkit(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    with jupyter.Jupyter(unstarted(tmp_path), tmp_path, port=0) as server:
        said = await run_in_kernel(server.port, server.token, "import nowhere_to_be_found", within_seconds=60)
        assert said == "ModuleNotFoundError: No module named 'nowhere_to_be_found'"
        with pytest.raises(TimeoutError):
            await run_in_kernel(server.port, server.token, "import time; time.sleep(60)", within_seconds=3)
        async with httpx.AsyncClient(headers={"Authorization": f"token {server.token}"}, trust_env=False) as http:
            left = await http.get(f"http://127.0.0.1:{server.port}/api/kernels")
        assert left.json() == []


def test_every_lesson_of_the_repository_is_looked_for() -> None:
    check = check_in.check_lessons(Path(__file__).parents[2] / "notebooks")
    lessons = len(list((Path(__file__).parents[2] / "notebooks" / "src").glob("[0-9][0-9]_*.py")))
    assert (check.ok, check.detail.startswith(f"{lessons} of {lessons} ")) == (True, True)
