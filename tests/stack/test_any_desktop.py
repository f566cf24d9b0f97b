"""The desktop of any laptop: pip's settings, browsers, other Jupyter kernels."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from support.terminal import until

from orderkit.stack.jupyter import Jupyter, open_browser
from orderkit.stack.secrets import make_secrets
from orderkit.stack.stack import Stack
from orderkit.stack.tcp_ports import choose, is_free


def test_make_installs_into_its_own_environment_whatever_pip_is_told(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parents[2] / "Makefile", tmp_path)
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nenv >> "$(dirname "$0")/told"\n')
    python.chmod(0o755)
    elsewhere = {"PIP_USER": "1", "PIP_TARGET": "/nowhere", "PIP_PREFIX": "/nowhere"}
    subprocess.run(
        ["make", ".venv/.lab"], cwd=tmp_path, env={**os.environ, **elsewhere}, check=True, capture_output=True
    )
    told = (python.parent / "told").read_text()
    assert "PATH=" in told
    assert [name for name in elsewhere if f"{name}=" in told] == []


def test_browser_is_not_started_where_nothing_can_show_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    text_browser(tmp_path / "lynx", tmp_path / "told")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(sys, "platform", "linux")
    before = set(psutil.Process().children())
    assert open_browser("http://127.0.0.1:1/") is False
    assert set(psutil.Process().children()) == before


def test_text_browser_does_not_get_the_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text_browser(tmp_path / "lynx", tmp_path / "told")
    monkeypatch.setenv("BROWSER", str(tmp_path / "lynx"))
    assert open_browser("http://127.0.0.1:1/")
    until((tmp_path / "told").exists, "the browser was started")
    until((tmp_path / "told").read_text, "the browser has looked")
    assert (tmp_path / "told").read_text() == "no terminal http://127.0.0.1:1/\n"


def text_browser(path: Path, told: Path) -> None:
    path.write_text(
        f'#!/bin/sh\nif (: </dev/tty) 2>/dev/null; then a=a; else a=no; fi\necho "$a terminal $1" > "{told}"\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def stopped(tmp_path: Path) -> Stack:
    """A lab that is not running: JupyterLab needs no more."""
    (tmp_path / "logs").mkdir()
    stack = Stack(tmp_path, choose(None, {})[0], make_secrets(tmp_path))
    stack.save()
    return stack


def test_jupyterlab_takes_another_port_when_its_own_is_lost_in_the_same_moment(
    stopped: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        lost = other.getsockname()[1]
        answers = iter([True])  # free when asked, taken when used
        monkeypatch.setattr("orderkit.stack.jupyter.is_free", lambda port: next(answers, False) or is_free(port))
        with Jupyter(stopped, stopped.home, lost) as jupyter:
            assert jupyter.port != lost
            assert f":{jupyter.port}/" in jupyter.url_of("x.ipynb")
            assert jupyter._answers()


def test_lessons_run_on_our_python_whatever_other_kernels_are_installed(
    stopped: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    foreign = tmp_path / "foreign" / "kernels" / "python3"
    foreign.mkdir(parents=True)
    foreign_kernel = {"argv": ["/nowhere/python", "-f", "{connection_file}"], "display_name": "x", "language": "python"}
    (foreign / "kernel.json").write_text(json.dumps(foreign_kernel))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "foreign"))
    monkeypatch.setenv("PYTHONWARNINGS", "error::DeprecationWarning")
    with Jupyter(stopped, stopped.home, 0) as jupyter:
        connection = http.client.HTTPConnection("127.0.0.1", jupyter.port, timeout=20)
        connection.request("GET", "/api/kernelspecs", headers={"Authorization": f"token {jupyter.token}"})
        specs = json.loads(connection.getresponse().read())
        connection.close()
    assert specs["default"] == "python3"
    assert "/nowhere/python" not in specs["kernelspecs"]["python3"]["spec"]["argv"]
