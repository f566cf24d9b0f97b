"""Running orderkit as people do: the command itself, in a folder and a home of its own, inheriting nothing of ours."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from orderkit.core.faults import FaultKind, FaultPlan, decide
from orderkit.core.orders import OrderId
from orderkit.core.steps import Step

BIN = Path(sys.executable).parent
OUTCOMES = {
    FaultKind.OK: "completed",
    FaultKind.SLOW: "completed",
    FaultKind.ERROR: "failed",
    FaultKind.ERROR_AFTER: "failed",
    FaultKind.HANG: "timed_out",
    FaultKind.HANG_AFTER: "timed_out",
    FaultKind.CRASH: "lost",
    FaultKind.CRASH_AFTER: "lost",
}
Attempts = list[tuple[str, int, str]]  # step, attempt, outcome


@dataclass(frozen=True)
class Terminal:
    """Somebody's shell: where they are, what is set, which orderkit is on their path."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    orderkit: Path = BIN / "orderkit"

    def run(self, *arguments: str, timeout_seconds: float = 90) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.orderkit), *arguments],
            cwd=self.folder,
            env=self.full_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
        )

    def answer(self, *arguments: str, status: int = 0) -> Any:
        """What the command answers with --json; fails unless it ends with this exit status."""
        done = self.run(*arguments, "--json")
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout)

    def start(self, *arguments: str, log: Path) -> subprocess.Popen[bytes]:
        """A command that goes on, in a process group of its own; what it writes is in `log`."""
        with log.open("ab") as file:
            return subprocess.Popen(
                [str(self.orderkit), *arguments],
                cwd=self.folder,
                env=self.full_environment(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def full_environment(self) -> dict[str, str]:
        """Ours without what leads to another stack, with theirs."""
        return {**ours(), "COLUMNS": "200", **self.environment}


def ours() -> dict[str, str]:
    """This process's environment without what would lead to another stack."""
    foreign = ("ORDERKIT_", "TEMPORAL_", "JUPYTER", "SUPERVISOR_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def until(met: Callable[[], object], what: str, timeout_seconds: float = 30) -> None:
    """Wait for a condition; never a fixed sleep."""
    deadline = time.monotonic() + timeout_seconds
    while not met():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_seconds} s"
        time.sleep(0.05)


def processes_below(folder: Path) -> list[str]:
    """Every process that works in this folder, or was told that its lab is there."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            home = process.environ().get("ORDERKIT_HOME", "")
            if any(Path(place).is_relative_to(folder) for place in (home, process.cwd()) if place):
                found.append(f"{process.pid}: {' '.join(process.cmdline())}")
        except psutil.Error:
            continue  # gone meanwhile, or another user's
    return found


def predicted(plan: FaultPlan, order_id: str, *, review: bool = True) -> Attempts:
    """The attempts of an order that is shipped, from the plan alone."""
    steps = [Step.RECEIVE, Step.VALIDATE, Step.REVIEW, Step.CHARGE, Step.PREPARE, Step.DISPATCH, Step.SHIP]
    if not review:
        steps.remove(Step.REVIEW)
    found: Attempts = []
    for step in steps:
        for attempt in itertools.count(1):
            outcome = OUTCOMES[decide(plan, OrderId(order_id), step, attempt).kind]
            found.append((str(step), attempt, outcome))
            if outcome == "completed":
                break
    return found
