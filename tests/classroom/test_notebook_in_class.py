"""A real kernel in a class: every byte that it sends is read, and the board's death disturbs no cell."""

from __future__ import annotations

import getpass
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager
from support.boards import OpenBoard, Wire, opened_class, requests_of
from support.terminal import until

SECONDS = 30
SENT = {"name", "lesson", "round", "prediction", "verdict"}
HEADERS = {
    "host", "accept", "accept-encoding", "connection", "user-agent", "authorization", "x-seat", "content-length",
    "content-type",
}  # fmt: skip
# As Lab.start does, but without servers: nothing here needs one.
LAB = """
from orderkit.lab import Lab
from orderkit.lab.interrupts import make_interruptible
from orderkit.stack.target import Target
make_interruptible()
lab = Lab(Target.from_environment())
"""
LESSON = """
from orderkit.classroom import membership
membership.CELL_WAITS_SECONDS = 0.3
from orderkit.lessons.predictions import Predictions
from orderkit.lessons.verdicts import Observation, verdict
from orderkit.errors import WaitExpired
predictions = Predictions(lab.home, "03")
secret = "order tea-4711 of Mrs Brown"
buttons = predictions.ask(2); buttons.make()
"""


@dataclass
class Notebook:
    """A kernel whose cells are run one after the other."""

    client: BlockingKernelClient

    def run(self, code: str) -> str:
        """Everything that the cell shows."""
        shown: list[str] = []

        def hear(told: dict[str, Any]) -> None:
            kind, content = told["msg_type"], told["content"]
            if kind == "stream":
                shown.append(content["text"])
            elif kind == "error":
                shown.append(f"{content['ename']}: {content['evalue']}")
            elif "data" in content:
                shown.append(content["data"].get("text/plain", ""))

        # Reads the reply, too: without that, ipykernel 7 drops one cell in some 400.
        self.client.execute_interactive(code, output_hook=hear, timeout=SECONDS)
        return "\n".join(shown)


class Kernels:
    """Kernels of one lab."""

    def __init__(self) -> None:
        self._managers: list[tuple[KernelManager, BlockingKernelClient]] = []

    def open(self) -> Notebook:
        manager = KernelManager(kernel_name="python3")
        manager.start_kernel()
        client = manager.client()
        client.start_channels()
        self._managers.append((manager, client))
        client.wait_for_ready(SECONDS)
        return Notebook(client)

    def close(self) -> None:
        for manager, client in self._managers:
            client.stop_channels()
            manager.shutdown_kernel(now=True)


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernels]:
    monkeypatch.setenv("ORDERKIT_HOME", str(tmp_path / "learner"))
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    opened = Kernels()
    yield opened
    opened.close()


def picture(page: httpx.Client) -> dict[str, object]:
    with page.stream("GET", "/stream") as stream:
        for line in stream.iter_lines():
            if line.startswith("data:"):
                return dict(json.loads(line[5:]))
    raise AssertionError("no picture")


@contextmanager
def page_of(board: OpenBoard) -> Iterator[httpx.Client]:
    """The instructor's browser: it has opened the page."""
    with httpx.Client(base_url=board.page_url.partition("/?")[0], trust_env=False, timeout=10) as page:
        assert page.get(board.page_url).status_code == 200
        yield page


@pytest.mark.timeout(180)
def test_a_notebook_in_class(tmp_path: Path, kernels: Kernels) -> None:
    with opened_class(tmp_path) as board, page_of(board) as page, Wire(board.port) as wire:
        word = f"{board.word}@127.0.0.1:{wire.port}"
        notebook = kernels.open()
        assert "error" not in notebook.run(LAB + LESSON)
        notebook.run("buttons.buttons['a'].click(); verdict('x', [Observation(False, secret)], ['hint'])")
        assert wire.sent == []  # nothing before they joined

        assert "no board answers" in notebook.run("await lab.join('otter-plum-lamp@127.0.0.1:1', name='Ada')")
        assert "letters" in notebook.run(f"await lab.join('{word}', name='<b>')")
        assert "does not know this word" in notebook.run(
            f"await lab.join('otter-plum-lamp@127.0.0.1:{wire.port}', 'Ada')"
        )
        assert "Ada is in the class" in notebook.run(f"await lab.join('{word}', name='Ada')")
        notebook.run("buttons.buttons['b'].click()")
        for _ in range(3):
            notebook.run("verdict('x', [Observation(False, secret)], ['hint'])")
        until(lambda: stuck(page) == {"Ada": "the check failed 3 times"}, "the check's misses are on the board", 10)
        notebook.run("raise WaitExpired(f'order {secret} did not ship', [secret])")
        until(lambda: stuck(page) == {"Ada": "a wait gave up"}, "the wait is on the board", 10)
        notebook.run("import time; time.sleep(0.8)")  # a cell that blocks the kernel's loop
        notebook.run("1 / 0")
        notebook.run("verdict('x', [Observation(True, secret)], ['hint'])")
        until(lambda: not stuck(page), "Ada is on again", 10)
        assert page.post("/call/05/2").status_code == 200
        said = "The instructor asks all to go to lesson 05, round 2."
        until(lambda: said in notebook.run("_ = 0"), "the line is under a cell", 10)
        assert notebook.run("_ = 0") == ""  # once

        another = kernels.open()  # the next lesson: same lab, nobody joins again
        another.run(f"{LAB}from orderkit.classroom.notebook import resume\nresume(lab.home)")
        another.run("from orderkit.lessons.predictions import Predictions\n_ = Predictions(lab.home, '04').ask(1)")
        until(lambda: picture(page)["places"] == at("04 1"), "the next lesson is on the board", 10)
        assert picture(page)["times"]

        requests = [each for connection in wire.sent for each in requests_of(bytes(connection))]
        assert {first for first, _, _ in requests} == {"POST /join", "POST /news", "GET /line"}
        bodies = [json.loads(body) for _, _, body in requests if body]
        assert {key for body in bodies for key in body} == SENT
        assert {body["verdict"] for body in bodies if "verdict" in body} == {
            "missed", "solved", "expired", "waiting", "going",
        }  # fmt: skip
        assert [body["prediction"] for body in bodies if "prediction" in body] == ["b"]
        assert {name for _, headers, _ in requests for name in headers} <= HEADERS
        assert {headers["user-agent"] for _, headers, _ in requests} == {"orderkit"}
        everything = b"".join(wire.sent).decode()
        for private in ("tea-4711", "Brown", "hint", "ship", str(tmp_path), "ZeroDivision"):
            assert private not in everything
        for private in (socket.gethostname(), getpass.getuser()):
            assert len(private) < 4 or private not in everything

        board.process.kill()  # and its word is gone
        board.process.wait(5)
        begin = time.monotonic()
        notebook.run("buttons.buttons['c'].click()")
        notebook.run("predictions.ask(3)")
        shown = notebook.run("verdict('x', [Observation(False, secret)], ['hint'])")
        assert shown.endswith("Hint 1 of 1: hint")  # and nothing else
        assert time.monotonic() - begin < 3

        with opened_class(tmp_path, port=board.port) as again, page_of(again) as page:
            until(lambda: votes(page, "03 2") == 1 and picture(page)["connected"] == 1, "what was kept has arrived", 40)
            assert notebook.run("await lab.leave()") == ""
            until(lambda: picture(page)["learners"] == 0, "Ada has left", 10)
            another.run("_ = Predictions(lab.home, '04').ask(2)")  # it was in the class, too: it stays out
            assert not (tmp_path / "learner" / "class-seat.json").exists()
            time.sleep(1)
            assert picture(page)["learners"] == 0


def stuck(page: httpx.Client) -> dict[str, str]:
    found = picture(page)["stuck"]
    assert isinstance(found, list)
    return {each["name"]: each["why"] for each in found}


def votes(page: httpx.Client, place: str) -> int:
    found = picture(page)["votes"]
    assert isinstance(found, dict)
    return int(found[place]["voted"]) if place in found else 0


def at(place: str) -> list[dict[str, object]]:
    ada = {"name": "Ada", "state": "", "voted": False, "away": False}
    return [{"place": place, "names": [ada]}]
