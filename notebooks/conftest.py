"""Notebooks as tests: nbval runs every cell and compares its output, on one lab for each process that runs notebooks.

Fixtures do not reach nbval's cells, so this uses hooks; pytest calls them for items in this folder only.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest
from workbench import Workbench, open_workbench

OUTPUT_SECONDS = 120  # nbval's 5 s are too short where a server is killed or many orders run, or on a busy machine

os.environ.setdefault("GOGC", "400")  # Temporal's server collects its garbage less often: tests are bound by it
collect_ignore_glob = ["de/*"]  # translations: their code is the English lesson's, which is run
_opened = ExitStack()
_workbench: Workbench | None = None
_failed: set[Path] = set()


def _the_workbench() -> Workbench:
    global _workbench
    if _workbench is None:
        _workbench = _opened.enter_context(open_workbench())
    return _workbench


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Have a lab, and let a notebook's kernel, which starts with its first cell, find it."""
    item.output_timeout = OUTPUT_SECONDS  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _the_workbench().variables.items():
            patch.delenv(name, raising=False) if value is None else patch.setenv(name, value)
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Skip the rest of a notebook after its first failure; not in the setup, which pytest must see through."""
    if item.path in _failed:
        pytest.skip("an earlier cell of this notebook failed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember notebooks with a cell that failed."""
    report = yield
    if report.failed:
        _failed.add(item.path)
    return report


def pytest_sessionfinish() -> None:
    """Put the lab down."""
    _opened.close()
