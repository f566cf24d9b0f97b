"""The processes of one lab: found by a variable in their environment, not by who started them."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from orderkit.stack.supervision import SUPERVISORD

# Every process of a lab carries its home in this variable. Not ORDERKIT_HOME: learners export that in their own shells.
MARK = "ORDERKIT_LAB"
# What the lab calls a process that its supervisord did not start: a worker of a notebook's, or of a person's terminal.
NAME = "ORDERKIT_LAB_NAME"


def processes_of(home: Path) -> list[psutil.Process]:
    """Every process of this lab, whether supervised or left over, never the caller or its parents."""
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        try:
            if _belongs(process, home):
                found |= {each.pid: each for each in (process, *process.children(recursive=True))}
        except (psutil.Error, OSError):
            continue  # gone meanwhile, or another user's: not ours
    me = psutil.Process()
    for mine in (me, *me.parents()):
        found.pop(mine.pid, None)
    return [process for process in found.values() if alive(process)]


def unsupervised(home: Path, supervisord: int) -> list[psutil.Process]:
    """The processes of this lab that its supervisord (a pid) did not start: extra workers, and leftovers."""
    found = processes_of(home)
    supervised = tree(supervisord)  # after looking: what it starts meanwhile was not found
    if not supervised:
        return []  # it has just ended, so its children are unknown
    return [process for process in found if process.pid not in supervised]


def _belongs(process: psutil.Process, home: Path) -> bool:
    if process.environ().get(MARK) == str(home):
        return True
    # PostgreSQL's children write their titles over their environment; but all of them work in the data folder.
    return process.name() == "postgres" and process.cwd() == str(home / "postgres")


def alive(process: psutil.Process) -> bool:
    """Whether it still runs; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def worker_pid(worker: str) -> int | None:
    """The pid of an attempt's worker (`host:pid`), where it is of this machine."""
    host, _, pid = worker.rpartition(":")
    return int(pid) if host == socket.gethostname() and pid.isdecimal() else None


def worker_died(worker: str) -> bool:
    """Whether an attempt's worker ran on this machine, and runs no more."""
    pid = worker_pid(worker)
    if pid is None:
        return False
    try:
        return not alive(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return True


def wait_gone(processes: Iterable[psutil.Process], timeout_seconds: float) -> list[psutil.Process]:
    """Wait until they have ended; returns those that have not."""
    deadline = time.monotonic() + timeout_seconds
    left = [process for process in processes if alive(process)]
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left = [process for process in left if alive(process)]
    return left


def wake(processes: Iterable[psutil.Process]) -> None:
    """Let paused ones go on: a paused process hears no other request."""
    for process in processes:
        try:
            if process.status() == psutil.STATUS_STOPPED:
                process.resume()
        except psutil.Error:
            continue


def end(processes: Iterable[psutil.Process], patience_seconds: float = 8) -> None:
    """Ask them to stop, and kill what has not after `patience_seconds`."""
    processes = [process for process in processes if alive(process)]
    wake(processes)
    for process in processes:
        _ask_to_stop(process)
    left = wait_gone(processes, patience_seconds)
    for process in left:
        try:
            process.kill()
        except psutil.Error:
            continue  # gone meanwhile
    wait_gone(left, 5)


def _ask_to_stop(process: psutil.Process) -> None:
    try:
        if process.name() != "postgres":
            process.terminate()
            return
        parent = process.parent()
        if parent is None or parent.name() != "postgres":
            process.send_signal(signal.SIGINT)  # the postmaster: a fast shutdown, which ends its children
    except psutil.Error:
        pass  # gone meanwhile


def tree(pid: int) -> set[int]:
    """The pids of a process and of all its children."""
    try:
        process = psutil.Process(pid)
        return {pid, *(child.pid for child in process.children(recursive=True))}
    except psutil.Error:
        return set()


def is_supervisord(process: psutil.Process) -> bool:
    """Whether it is the one that starts the others."""
    try:
        return SUPERVISORD in process.cmdline()
    except psutil.Error:
        return False


def label(process: psutil.Process) -> str:
    """The program's name in the lab, else the process's own."""
    try:
        if is_supervisord(process):
            return "supervisord"
        name = process.name()
        if name == "postgres":
            return name
        told = process.environ()
        return told.get(NAME) or told.get("SUPERVISOR_PROCESS_NAME", name)
    except psutil.Error:
        return f"pid {process.pid}"


def memory_mb(pid: int, *, children: bool = True) -> float:
    """What a process and its children take, in MB; on Linux, pages they share are counted once."""
    try:
        process = psutil.Process(pid)
        counted = [process, *(process.children(recursive=True) if children else [])]
    except psutil.Error:
        return 0.0
    return sum(map(_own_bytes, counted)) / 2**20


def _own_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.Error, AttributeError, OSError):
        pass  # only Linux shares out common pages, and only for one's own processes
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def is_root() -> bool:
    """Whether this process may do everything; PostgreSQL refuses to run so."""
    return hasattr(os, "geteuid") and os.geteuid() == 0
