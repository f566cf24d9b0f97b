"""What a person waits for before the first order, and what a quiet lab costs: `orderkit bench start`."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from orderkit.stack.environment import inherited_environment
from orderkit.stack.lifecycle import down, up
from orderkit.stack.processes import memory_mb
from orderkit.stack.stack import Stack

_IMPORT = "import orderkit.workflows.order"
_FIRST_CELL = """
import asyncio
from orderkit.lab import Lab

async def cell():
    lab = await Lab.start()
    await lab.orders.start("first-cell", review="none")
    await lab.orders.wait("first-cell")

asyncio.run(cell())
"""
_COMMAND_SECONDS = 60


@dataclass(frozen=True)
class StartTimes:
    """Medians, in seconds; `quiet` is of a lab that does nothing, by process."""

    up: float
    down: float
    status: float
    help: float
    import_of_a_workflow: float
    first_cell: float  # a Python process from its start to its first order's end, on a lab that runs
    memory_mb: dict[str, float]
    quiet_cpu_seconds_a_minute: dict[str, float]

    @property
    def memory_together_mb(self) -> float:
        """All processes."""
        return sum(self.memory_mb.values())


def measure(
    home: Path, rounds: int = 3, quiet_seconds: float = 20, tell: Callable[[str], None] = lambda _: None
) -> StartTimes:
    """In a lab of its own, in `home`; it is down before and after. The first, cold start counts for nothing."""
    tell("a first, cold start")
    up(home, preferred={})
    down(home)
    ups, downs = [], []
    command = (sys.executable, "-m", "orderkit")
    for number in range(rounds):
        tell(f"up and down, {number + 1} of {rounds}")
        began = time.perf_counter()
        stack = up(home, preferred={})
        ups.append(time.perf_counter() - began)
        if number < rounds - 1:
            downs.append(_timed(lambda: down(home)))
    try:
        tell("commands")
        environment = inherited_environment() | {"ORDERKIT_HOME": str(home)}
        status = median(_run((*command, "status"), environment) for _ in range(rounds))
        help_ = median(_run((*command, "--help"), environment) for _ in range(rounds))
        import_ = median(_run((sys.executable, "-c", _IMPORT), environment) for _ in range(rounds))
        first_cell = _run((sys.executable, "-c", _FIRST_CELL), environment)
        tell(f"quiet for {quiet_seconds:g} s")
        quiet = _quiet_cpu(stack, quiet_seconds)
        memory = {name: memory_mb(pid) for name, pid in _pids(stack).items()}
    finally:
        downs.append(_timed(lambda: down(home)))
    return StartTimes(
        up=median(ups),
        down=median(downs),
        status=status,
        help=help_,
        import_of_a_workflow=import_,
        first_cell=first_cell,
        memory_mb=memory,
        quiet_cpu_seconds_a_minute=quiet,
    )


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _run(arguments: tuple[str, ...], environment: dict[str, str]) -> float:
    """How long the command takes, in seconds; raises CalledProcessError where it fails."""
    began = time.perf_counter()
    subprocess.run(arguments, env=environment, check=True, capture_output=True, timeout=_COMMAND_SECONDS)
    return time.perf_counter() - began


def _pids(stack: Stack) -> dict[str, int]:
    names = ("postgres", "temporal", "api", *stack.workers())
    return {name: pid for name in names if (pid := stack.pid(name))}


def _quiet_cpu(stack: Stack, seconds: float) -> dict[str, float]:
    before = {name: _cpu_seconds(pid) for name, pid in _pids(stack).items()}
    time.sleep(seconds)
    return {name: (_cpu_seconds(pid) - before[name]) * 60 / seconds for name, pid in _pids(stack).items()}


def _cpu_seconds(pid: int) -> float:
    process = psutil.Process(pid)
    return sum(sum(each.cpu_times()[:2]) for each in (process, *process.children(recursive=True)))
