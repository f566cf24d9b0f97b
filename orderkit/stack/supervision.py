"""supervisord from outside: start it, and ask it things over XML-RPC on loopback, with a password."""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from orderkit.errors import LabError
from orderkit.stack.tcp_ports import LOOPBACK

_ANSWER_SECONDS = 5.0
_NO_SUCH_PROGRAM = 10  # supervisor.xmlrpc.Faults.BAD_NAME
_ALREADY_SO = (60, 70)  # ALREADY_STARTED, NOT_RUNNING
RUNNING = ("starting", "running")
SUPERVISORD = f"{__package__}.supervisord"  # the module that the process runs


@dataclass(frozen=True)
class ProcessInfo:
    """What supervisord says of a process; `state`: stopped, starting, running, backoff, stopping, exited or fatal."""

    name: str
    state: str
    pid: int  # 0: none
    started_at: float  # seconds since the epoch; 0: never
    problem: str


@dataclass(frozen=True)
class Supervisor:
    """The supervisord of one lab, alive or not."""

    port: int
    password: str = field(repr=False)

    def alive(self) -> bool:
        """Whether it answers, to our password, and is not about to end."""
        try:
            state = cast(dict[str, object], self._call("getState"))
        except LabError:
            return False
        return state["statename"] == "RUNNING"

    def pid(self) -> int:
        """Its own process."""
        return cast(int, self._call("getPID"))

    def processes(self) -> dict[str, ProcessInfo]:
        """Every process it knows, by name, in the order in which they start."""
        rows = cast(list[dict[str, object]], self._call("getAllProcessInfo"))
        infos = [
            ProcessInfo(
                name=str(row["name"]),
                state=str(row["statename"]).lower(),
                pid=cast(int, row["pid"]),
                started_at=float(cast(int, row["start"])),
                problem=str(row["spawnerr"]),
            )
            for row in rows
        ]
        return {info.name: info for info in infos}

    def info(self, name: str) -> ProcessInfo:
        """What it says of one process; raises LabError for an unknown name."""
        known = self.processes()
        if name not in known:
            raise LabError(f"the lab runs no program {name!r}, only {', '.join(known)}")
        return known[name]

    def start(self, name: str) -> None:
        """Start a process now, also one that waits for its next try; does nothing when it runs."""
        state = self.info(name).state
        if state == "backoff":
            self._call("stopProcess", _full(name), False)
        deadline = time.monotonic() + 15
        while self.info(name).state == "stopping" and time.monotonic() < deadline:
            time.sleep(0.05)
        if state not in RUNNING:
            self._call("startProcess", _full(name), False)

    def stop(self, name: str) -> None:
        """Ask a process to stop, for good; it is killed if it takes too long. Does not wait."""
        self._call("stopProcess", _full(name), False)

    def reload(self) -> None:
        """Take up programs that were added to the configuration."""
        changes = cast(list[list[list[str]]], self._call("reloadConfig"))
        for group in changes[0][0]:
            self._call("addProcessGroup", group)

    def shut_down(self) -> None:
        """Ask it to stop every process, in reverse order, and to end. Does not wait."""
        self._call("shutdown")

    def _call(self, method: str, *arguments: object) -> object:
        address = f"http://orderkit:{self.password}@{LOOPBACK}:{self.port}/RPC2"
        proxy = xmlrpc.client.ServerProxy(address, transport=_BoundedTransport())
        try:
            with proxy:
                return cast(object, getattr(proxy.supervisor, method)(*arguments))
        except xmlrpc.client.Fault as fault:
            if fault.faultCode in _ALREADY_SO:
                return None
            if fault.faultCode == _NO_SUCH_PROGRAM:
                raise LabError(f"the lab runs no program {arguments[0]!r}") from None
            raise LabError(f"supervisord refused {method}: {fault.faultString}") from None
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise LabError(f"the lab's supervisord does not answer ({type(error).__name__}): orderkit up") from error


class _BoundedTransport(xmlrpc.client.Transport):
    def make_connection(self, host: object) -> http.client.HTTPConnection:
        connection = super().make_connection(cast(str, host))
        connection.timeout = _ANSWER_SECONDS
        return connection


def _full(name: str) -> str:
    """supervisord's own name: copies live in a group (`worker:worker-0`)."""
    group, _, number = name.rpartition("-")
    return f"{group}:{name}" if number.isdigit() else name


def launch(home: Path, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start supervisord in a session of its own, where no Ctrl-C or interrupted kernel reaches it; see `launched`."""
    return subprocess.Popen(
        [sys.executable, "-m", SUPERVISORD, "-c", "supervisord.conf"],
        cwd=home,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )


def launched(starter: subprocess.Popen[str], timeout_seconds: float = 20) -> None:
    """Wait until supervisord runs in the background; if it fails, raises LabError with its output."""
    try:
        said, _ = starter.communicate(timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        starter.kill()
        raise LabError(f"supervisord did not start within {timeout_seconds:.0f} s") from None
    if starter.returncode != 0:
        raise LabError(f"supervisord did not start: {said.strip()[-500:]}")
