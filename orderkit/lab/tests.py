"""`lab.tests`: pytest for workflows of one's own, in a process of its own, with a report of one line a test."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from orderkit.cells.check import read
from orderkit.cells.mistakes import Mistake, told
from orderkit.errors import CellRefused, LabError
from orderkit.lab.cells import folder_of
from orderkit.lab.display import PytestReport, PytestResult
from orderkit.stack.controls import FindStack
from orderkit.stack.environment import inherited_environment
from orderkit.stack.stack import Stack

HEADER = (
    "import asyncio; from datetime import timedelta; from pathlib import Path; import pytest; "
    "from temporalio import activity, workflow; from temporalio.client import WorkflowFailureError, WorkflowHistory; "
    "from temporalio.worker import Replayer, Worker"
)
_WITHIN_SECONDS = 90
_PLUGINS = ("pytest_asyncio.plugin", "orderkit.cells.pytest_plugin", "orderkit.lessons.museum.pytest_plugin")
_SETTINGS = ("asyncio_mode=auto", "addopts=", "verbosity_assertions=2")


class Tests:
    """The test files that this notebook's `%%test` cells make, beside the modules of `%%workflow` cells."""

    def __init__(self, find_stack: FindStack) -> None:
        self._find_stack = find_stack
        self._reports: dict[str, PytestReport] = {}

    def define(self, cell: str, name: str) -> PytestReport:
        """Write a `%%test invoice` cell to test_invoice.py and run it; the kernel waits for the result.

        Raises CellRefused where Python cannot read it or it has no name, LabError where pytest gives no answer.
        """
        text = f"{HEADER}\n{cell}"
        code = read(text)
        if isinstance(code, Mistake):
            raise CellRefused(told([code], text), [code.line])
        if not name.isidentifier():
            raise CellRefused(told([Mistake(1, "the tests need a name", "%%test invoice")], ""), [1])
        stack = self._find_stack()
        folder_of(stack).mkdir(exist_ok=True)
        _file(stack, name).write_text(text)
        return self._run(stack, name)

    async def run(self, name: str) -> PytestReport:
        """Run the tests of this name again. Raises LabError if there are none, or pytest gives no answer."""
        stack = self._find_stack()
        if not await asyncio.to_thread(_file(stack, name).exists):
            raise LabError(f"there is no test_{name}.py; run its cell: %%test {name}")
        return await asyncio.to_thread(self._run, stack, name)

    def last(self, name: str) -> PytestReport | None:
        """The last report of the tests of this name, in this notebook."""
        return self._reports.get(name)

    def _run(self, stack: Stack, name: str) -> PytestReport:
        environment = inherited_environment() | stack.environment_of_extra(f"test-{name}")
        with tempfile.TemporaryDirectory() as temporary:
            report = Path(temporary) / "report.json"
            environment |= {
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONPATH": str(folder_of(stack)),
                "ORDERKIT_TEST_REPORT": str(report),
            }
            plugins = [word for plugin in _PLUGINS for word in ("-p", plugin)]
            settings = [word for setting in _SETTINGS for word in ("-o", setting)]
            options = ["-q", "-p", "no:cacheprovider", *plugins, *settings, "--rootdir=."]
            command = [sys.executable, "-m", "pytest", *options, _file(stack, name).name]
            with stack.log(f"test-{name}").open("wb") as log:
                process = subprocess.Popen(
                    command, cwd=folder_of(stack), env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    start_new_session=True,
                )  # fmt: skip
                try:
                    process.wait(_WITHIN_SECONDS)
                except subprocess.TimeoutExpired:
                    raise LabError(f"test_{name}.py did not end within {_WITHIN_SECONDS} s and was stopped") from None
                finally:
                    if process.poll() is None:
                        process.kill()
                        process.wait()
            if not report.exists():
                log_lines = stack.log(f"test-{name}").read_text(errors="replace").splitlines()[-12:]
                raise LabError(f"pytest did not run test_{name}.py:\n" + "\n".join(log_lines))
            results = tuple(PytestResult(**each) for each in json.loads(report.read_text()))
        self._reports[name] = PytestReport(name, results)
        return self._reports[name]


def _file(stack: Stack, name: str) -> Path:
    return folder_of(stack) / f"test_{name}.py"
