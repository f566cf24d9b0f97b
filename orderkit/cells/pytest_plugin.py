"""A pytest plugin for the tests of a cell: a server that skips time, and a report of one line a test.

The report is a file of JSON, named by ORDERKIT_TEST_REPORT.
"""

from __future__ import annotations

import json
import linecache
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

REPORT = "ORDERKIT_TEST_REPORT"
_results: list[dict[str, Any]] = []


@pytest_asyncio.fixture
async def server() -> AsyncIterator[WorkflowEnvironment]:
    """A Temporal server of this test's own, which skips the time while nothing but a timer is waited for."""
    beside = str(Path(sys.executable).parent)
    path = shutil.which("temporal-test-server", path=os.pathsep.join([beside, os.environ["PATH"]]))
    async with await WorkflowEnvironment.start_time_skipping(test_server_existing_path=path) as environment:
        yield environment


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Called by pytest."""
    report = yield
    if report.when == "call" or report.failed:
        line, message = _what(item, call) if report.failed and call.excinfo else (0, "")
        _results.append({"test": item.name, "outcome": report.outcome, "line": line, "message": message})
    return report


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Called by pytest; a file that cannot be imported has no tests."""
    if report.failed:
        text = str(report.longrepr)
        errors = re.findall(r"^E\s+(.+)", text, re.MULTILINE)
        lines = re.findall(rf"{re.escape(Path(str(report.fspath)).name)}:(\d+): in <module>", text)
        line = int(lines[-1]) if lines else 0
        _results.append({"test": "", "outcome": "failed", "line": line, "message": errors[-1] if errors else text})


def pytest_sessionfinish() -> None:
    """Called by pytest."""
    Path(os.environ[REPORT]).write_text(json.dumps(_results))


def _what(item: pytest.Item, call: pytest.CallInfo[None]) -> tuple[int, str]:
    """The last line of the test's file on the way to the error, and the error's first line."""
    assert call.excinfo is not None
    lines = [entry.lineno + 1 for entry in call.excinfo.traceback if Path(entry.path) == item.path]
    error = call.excinfo.value
    line, message = (lines or [0])[-1], str(error).partition("\n")[0]
    if not isinstance(error, AssertionError):
        return line, f"{type(error).__name__}: {message}"
    if message.count("(") != message.count(")"):  # pytest tells it in several lines
        return line, linecache.getline(str(item.path), line).strip()
    return line, message or "assert"
