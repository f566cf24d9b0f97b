"""Ends a lab's own processes, supervised or not: first gracefully and in order, then by force, within a time limit."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import psutil

from orderkit.errors import LabError
from orderkit.stack.processes import end, is_supervisord, label, processes_of, wait_gone, wake
from orderkit.stack.programs import SERVERS
from orderkit.stack.stack import Stack, find_stack

_STOP_SECONDS = 12  # longer than supervisord waits before it kills


def end_everything(home: Path) -> list[str]:
    """End every process of this lab; returns what ran. Raises LabError if something survives."""
    running = processes_of(home)
    names = sorted({label(process) for process in running})
    wake(running)
    try:
        stack = find_stack(home)
        if stack and stack.alive():
            _stop_in_order(stack)
            wait_gone(running, 5)
    except LabError:
        pass  # its files are damaged, or supervisord died meanwhile: what it ran is found without it
    nothing_seen = 0
    for _ in range(6):
        left = processes_of(home)
        end([process for process in left if is_supervisord(process)], 0)  # otherwise it would restart what we end
        end(left)
        nothing_seen = 0 if left else nothing_seen + 1
        if nothing_seen == 2:  # once is not enough: a process that forks and exits while we look is missed
            return names
    raise LabError(f"these processes cannot be ended: {', '.join(map(str, processes_of(home)))}")


def _stop_in_order(stack: Stack) -> None:
    """Workers and API first, while what they need is still there; then the servers, together."""
    known = stack.supervisor.processes()
    for names in ([name for name in known if name not in SERVERS], [name for name in SERVERS if name in known]):
        for name in names:
            stack.supervisor.stop(name)
        wait_gone(_existing(known[name].pid for name in names), _STOP_SECONDS)
    stack.supervisor.shut_down()


def _existing(pids: Iterable[int]) -> list[psutil.Process]:
    return [psutil.Process(pid) for pid in pids if pid and psutil.pid_exists(pid)]
