"""Which programs of a lab run now: one line for each."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from orderkit.errors import LabError, OrderkitError
from orderkit.stack.elsewhere import FOLDER
from orderkit.stack.processes import label, memory_mb, processes_of
from orderkit.stack.programs import is_spare
from orderkit.stack.stack import Stack, find_stack
from orderkit.stack.supervision import RUNNING
from orderkit.stack.target import find_place
from orderkit.store.urls import shown


@dataclass(frozen=True)
class ProgramStatus:
    """One program. `state` is supervisord's (running, starting, backoff, stopped …), or paused, orphaned, or away.

    A server elsewhere is running or away, and has no process here.
    """

    name: str
    state: str
    pid: int | None
    uptime_seconds: float | None
    memory_mb: float  # with its children; what they share is counted once
    url: str  # where it listens, empty if it does not; of a worker, its metrics
    problem: str = ""  # why it does not run, as far as supervisord knows


def status(home: Path | None = None) -> list[ProgramStatus]:
    """Every program of the lab in `home`: those that run, that should run, or that lost their supervisor."""
    home = (home or find_place().home).resolve()
    stack = find_stack(home) if home.is_dir() else None
    if stack and stack.alive():
        try:
            return _supervised(stack)
        except LabError:
            pass  # it ended while we asked
    return _orphans(home, stack)


def status_inside(home: Path | None = None) -> list[ProgramStatus]:
    """The same of the lab inside this one's folder that uses servers elsewhere, while it runs: `down` ends it, too."""
    inside = (home or find_place().home).resolve() / FOLDER
    stack = find_stack(inside) if inside.is_dir() else None
    if stack is None or not stack.alive():
        return []
    return [replace(row, name=f"{FOLDER}/{row.name}") for row in status(inside)]


def comes_back(dependency: str) -> bool:
    """Whether this folder's lab runs, and its supervisor starts by itself what does not answer just now."""
    try:
        stack = find_stack(find_place().home)
        if stack is None or (stack.elsewhere and dependency in ("postgresql", "temporal")):
            return False
        program = {"postgresql": "postgres", "worker": "worker-0"}.get(dependency, dependency)
        return stack.alive() and stack.supervisor.info(program).state in (*RUNNING, "backoff")
    except OrderkitError:
        return False


def _supervised(stack: Stack) -> list[ProgramStatus]:
    rows = [_row("supervisord", "running", stack.supervisor.pid(), ""), *_elsewhere(stack)]
    for info in stack.supervisor.processes().values():
        if is_spare(info.name, info.state):
            continue
        if info.started_at or info.name in ("postgres", "temporal", "api", "worker-0"):
            state = "paused" if _is_paused(info.pid) else info.state
            url = stack.metrics_url(info.pid) if info.name.startswith("worker-") else _url(stack, info.name)
            rows.append(_row(info.name, state, info.pid or None, url, info.problem if not info.pid else ""))
    extra = {process.pid: process for process in stack.extra()}
    rows += [_row(label(each), "running", each.pid, "") for each in extra.values() if _parent_pid(each) not in extra]
    return rows


def _orphans(home: Path, stack: Stack | None) -> list[ProgramStatus]:
    found = {process.pid: process for process in processes_of(home)}
    tops = [process for process in found.values() if _parent_pid(process) not in found]
    rows = [_row(label(each), "orphaned", each.pid, _url(stack, label(each)) if stack else "") for each in tops]
    rows += _elsewhere(stack) if stack else []
    stopped = (
        {"supervisord", "postgres", "temporal", "worker-0", "api"} - {row.name for row in rows} if stack else set()
    )
    return sorted([*rows, *(_row(name, "stopped", None, "") for name in stopped)], key=lambda row: row.name)


def _elsewhere(stack: Stack) -> list[ProgramStatus]:
    servers = stack.elsewhere
    return [_row(name, state, None, _url(stack, name)) for name, state in servers.states().items()] if servers else []


def _row(name: str, state: str, pid: int | None, url: str, problem: str = "") -> ProgramStatus:
    if pid is None:
        return ProgramStatus(name, state, None, None, 0.0, url, problem)
    memory = memory_mb(pid, children=name != "supervisord")
    return ProgramStatus(name, state, pid, _uptime(pid), round(memory, 1), url, problem)


def _url(stack: Stack, name: str) -> str:
    return {
        "postgres": shown(stack.database_url),
        "temporal": f"{stack.temporal_address}, UI {stack.ui_url}",
        "api": stack.api_url,
    }.get(name, "")


def _parent_pid(process: psutil.Process) -> int | None:
    try:
        return process.ppid()
    except psutil.Error:
        return None


def _is_paused(pid: int) -> bool:
    try:
        return bool(pid) and psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return False


def _uptime(pid: int) -> float | None:
    try:
        return round(max(0.0, time.time() - psutil.Process(pid).create_time()), 1)
    except psutil.Error:
        return None
