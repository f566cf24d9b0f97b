"""The worker processes of a notebook's `%%workflow` cells: one for each module, held by the kernel, ended with it."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orderkit.cells.mistakes import Mistake
from orderkit.errors import LabError
from orderkit.stack.controls import FindStack
from orderkit.stack.environment import inherited_environment
from orderkit.stack.processes import end, label
from orderkit.stack.stack import Stack

_COMES_UP_SECONDS = 30.0
_ENDS_SECONDS = 2.0
_LOG_LINES = 12


def queue_of(module: str) -> str:
    """The task queue of a module, and the name of its worker's process."""
    return f"own-{module}"


class CellProcess:
    """A process of `orderkit.cells.serve`."""

    def __init__(self, stack: Stack, module: str, text: str, runs: dict[str, str], replay: bool) -> None:
        self._module = module
        self.log = stack.log(queue_of(module))
        self.log.parent.mkdir(parents=True, exist_ok=True)
        environment = inherited_environment() | stack.environment_of_extra(queue_of(module))
        environment.pop("ORDERKIT_DATABASE_URL", None)  # it is the order system's
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "orderkit.cells.serve"],
                env=environment | {"PYTHONUNBUFFERED": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # an interrupt of the cell is not for it
            )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        task = {"name": module, "folder": str(folder_of(stack)), "text": text, "queue": queue_of(module)}
        self._tell({**task, "runs": runs, "replay": replay})

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def hear(self, key: str) -> Any:
        """Wait for this answer; raises Refused if it reports mistakes, and LabError if it ends or is too late."""
        until = time.monotonic() + _COMES_UP_SECONDS
        while True:
            try:
                answer = self._answers.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                answer = {}
            if key in answer:
                return answer[key]
            if "mistakes" in answer:
                raise Refused([Mistake(**each) for each in answer["mistakes"]])
            if not answer:
                last = "\n".join(self.log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
                raise LabError(f"the worker of {self._module}.py did not come up; the end of its log:\n{last}")

    def go_on(self) -> None:
        """Let it serve."""
        self._tell({})

    def end(self) -> None:
        """End it; a second time does nothing."""
        with suppress(OSError):
            self._input.close()
        if self.alive:
            self._process.terminate()
            try:
                self._process.wait(_ENDS_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _tell(self, what: dict[str, object]) -> None:
        with suppress(OSError):  # it has ended: `hear` says so
            self._input.write(json.dumps(what).encode() + b"\n")
            self._input.flush()

    def _listen(self) -> None:
        with self._output as lines:
            for line in lines:
                self._answers.put(json.loads(line))
        self._answers.put({})


class Refused(Exception):
    """The process found mistakes."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__(mistakes)
        self.mistakes = mistakes


def folder_of(stack: Stack) -> Path:
    """Where the modules of a lab's notebooks are."""
    return stack.home / "workflows"


@dataclass
class CellWorkers:
    """One process for each module that this kernel has defined."""

    find_stack: FindStack
    processes: dict[str, CellProcess] = field(default_factory=dict)

    def serve(self, module: str, text: str, runs: dict[str, str], replay: bool) -> dict[str, list[str]]:
        """Check the text in a new process; if it is good, write it to its file and let the process take over.

        With `replay`, code that open runs could not go on with is not good.

        Returns the names of its workflows and activities. Raises Refused and LabError: then all is as before.
        """
        stack = self.find_stack()
        folder_of(stack).mkdir(exist_ok=True)
        process = CellProcess(stack, module, text, runs, replay)
        try:
            found: dict[str, list[str]] = process.hear("found")
            (folder_of(stack) / f"{module}.py").write_text(text)
            self._end_others(stack, module, process)
            if found["workflows"]:
                process.go_on()
                process.hear("ready")
                self.processes[module] = process
            else:
                process.end()
        except BaseException:
            process.end()
            raise
        return found

    def alive(self, module: str) -> bool:
        """Whether a worker of this kernel serves the module."""
        return module in self.processes and self.processes[module].alive

    def close(self) -> None:
        """End them all."""
        while self.processes:
            self.processes.popitem()[1].end()

    def _end_others(self, stack: Stack, module: str, keep: CellProcess) -> None:
        """The module's worker of this kernel, or the one of another notebook."""
        if before := self.processes.pop(module, None):
            before.end()
        name = queue_of(module)
        end([each for each in stack.extra() if label(each) == name and each.pid != keep.pid], _ENDS_SECONDS)
