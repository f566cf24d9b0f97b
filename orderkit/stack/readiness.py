"""Waits until a lab serves; if it does not, says why, with evidence."""

from __future__ import annotations

import asyncio
import http.client
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psutil

from orderkit.core.steps import ORDER_QUEUE, SHIPPING_QUEUE
from orderkit.errors import DependencyUnavailable, LabError, OrderkitError, SettingsError
from orderkit.stack import postgres
from orderkit.stack.elsewhere import Elsewhere
from orderkit.stack.processes import alive, label, processes_of
from orderkit.stack.stack import Stack
from orderkit.stack.tcp_ports import LOOPBACK, TITLES, is_free, listens
from orderkit.stack.temporal import SEARCH_ATTRIBUTES
from orderkit.temporal.server import heartbeating, is_serving, pollers, register_keywords

if TYPE_CHECKING:
    from temporalio.client import Client

Migrate = Callable[[str], Awaitable[list[str]]]
Progress = Callable[[str], None]
QUEUES = (ORDER_QUEUE, SHIPPING_QUEUE)
_LOOK_SECONDS = 0.05
_POLL_SECONDS = 70  # a worker polls again once a minute
_HEARTBEAT_SECONDS = 5  # ours come every second
_CLOCKS_SECONDS = 2.0  # a process's begin is told from the boot, a poll by the server's clock
_ELSEWHERE_SECONDS = 10.0
_TOO_MANY_STARTS = 5
_FOREIGN_SECONDS = 1.0  # longer than a process that was just killed keeps its port


class PortLost(Exception):
    """Another program took a port between its choice and its use."""


async def live_pollers(client: Client, queue: str, stack: Stack | None = None) -> list[str]:
    """The identities of the workers that poll this queue now, for workflow tasks and for activities.

    In a lab only running processes count; elsewhere, a worker that died a minute ago may still
    be listed.
    """
    now = datetime.now(UTC)
    found = await pollers(client, queue, now - timedelta(seconds=_POLL_SECONDS))
    found |= dict.fromkeys(await heartbeating(client, queue, now - timedelta(seconds=_HEARTBEAT_SECONDS)), now)
    return sorted(found if stack is None else [each for each, heard in found.items() if _runs(each, heard)])


def _pid(identity: str) -> int | None:
    """A worker's process, which the SDK calls pid@host unless told otherwise; None for one of another machine."""
    pid, _, host = identity.partition("@")
    return int(pid) if pid.isdigit() and host == socket.gethostname() else None


def _runs(identity: str, heard: datetime) -> bool:
    """Whether it may still poll a lab's queue, as it did then; what is not a process of this machine may.

    A process that began later has only got the number of one that is dead.
    """
    if (pid := _pid(identity)) is None:
        return True
    try:
        process = psutil.Process(pid)
        return process.create_time() < heard.timestamp() + _CLOCKS_SECONDS and alive(process)
    except psutil.Error:
        return False


def poller_name(identity: str) -> str:
    """A worker of this machine by its name in the lab: `worker-0 (12@laptop)`."""
    pid = _pid(identity)
    return f"{label(psutil.Process(pid))} ({identity})" if pid is not None and psutil.pid_exists(pid) else identity


def other_pollers(stack: Stack) -> list[str]:
    """Workers that are not this lab's, and yet poll its queues, or did a minute ago; only where Temporal is elsewhere.

    Blocks for milliseconds; none where Temporal does not answer.
    """
    if stack.elsewhere is None:
        return []

    async def look() -> set[str]:
        client = await stack.connect_quietly()
        return {identity for queue in QUEUES for identity in await live_pollers(client, queue, stack)}

    try:
        with ThreadPoolExecutor(1) as thread:  # the caller may be a coroutine's
            found = thread.submit(asyncio.run, look()).result()
    except DependencyUnavailable:
        return []
    own = {process.pid for process in processes_of(stack.home)}
    return sorted(poller_name(identity) for identity in found if _pid(identity) not in own)


def health(host: str, port: int, timeout_seconds: float = 2) -> str:
    """The API's answer to GET /health as `200 …`, empty if there is none."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout_seconds)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        return f"{answer.status} {answer.read(500).decode(errors='replace')}".strip()
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()


@dataclass
class Readiness:
    """One wait for one lab, up to `deadline` (time.monotonic())."""

    stack: Stack
    deadline: float
    progress: Progress
    _pids: dict[str, set[int]] = field(default_factory=dict)

    async def database(self, migrate: Migrate | None) -> None:
        """PostgreSQL answers, our role and database exist, the schema is current."""
        await self._until("postgres", self.stack.ports.postgres, self._postgres_serves)
        self.progress(f"PostgreSQL answers on port {self.stack.ports.postgres}")
        if migrate:
            applied = await migrate(self.stack.database_url)
            self.progress(f"The schema is current ({len(applied)} migrations applied)")

    async def temporal(self) -> None:
        """Temporal's frontend is healthy and has the namespace, and its lists can be searched by what orders carry."""
        await self._until("temporal", self.stack.ports.temporal, self._temporal_serves)
        # Its own option does so for a new database only, not for a lab of an earlier version.
        with suppress(DependencyUnavailable):  # orders do without
            await register_keywords(await self.stack.connect_quietly(), SEARCH_ATTRIBUTES)
        self.progress(f"Temporal answers on port {self.stack.ports.temporal}, its UI is {self.stack.ui_url}")

    async def elsewhere(self, servers: Elsewhere, migrate: Migrate | None) -> None:
        """Servers that are not the lab's answer, and the schema there is current; raises LabError within seconds."""
        places = servers.places()
        where = {
            "postgres": f"PostgreSQL at {places['postgres']}, which ORDERKIT_DATABASE_URL names",
            "temporal": f"Temporal at {places['temporal']}, which TEMPORAL_ADDRESS or its profile names",
        }
        serves = {"postgres": self._postgres_serves, "temporal": self._temporal_serves}
        until = min(self.deadline, time.monotonic() + _ELSEWHERE_SECONDS)
        for name, told in where.items():
            while not await serves[name]():
                if time.monotonic() > until:
                    raise LabError(f"{told}, does not answer; try: orderkit doctor")
                self.progress(f"Waiting for {told}")
                await asyncio.sleep(_LOOK_SECONDS)
            self.progress(f"{TITLES[name]} answers at {places[name]}")
        if migrate:
            try:
                applied = await migrate(servers.database_url)
            except OrderkitError:
                raise
            except Exception as error:  # a refusal, above all: no right to make tables
                told = f"the schema of {where['postgres']}, cannot be brought up to date"
                raise LabError(f"{told}: {type(error).__name__}: {error}") from error
            self.progress(f"The schema is current ({len(applied)} migrations applied)")

    async def workers(self, names: Sequence[str]) -> None:
        """Each of these workers polls both task queues."""
        client = await self.stack.connect_quietly()

        async def poll() -> bool:
            wanted = {self.stack.supervisor.info(name).pid for name in names}
            try:
                polling = [await live_pollers(client, queue, self.stack) for queue in QUEUES]
            except DependencyUnavailable:
                return False
            return all(wanted <= {_pid(identity) for identity in each} for each in polling)

        for name in names:
            await self._until(name, None, poll)
        self.progress(f"{len(names)} worker{'s' * (len(names) > 1)} on {' and '.join(QUEUES)}")

    async def api(self) -> None:
        """The REST API says that everything is well."""

        async def is_well() -> bool:
            return (await asyncio.to_thread(health, LOOPBACK, self.stack.ports.api)).startswith("200")

        await self._until("api", self.stack.ports.api, is_well)
        self.progress(f"The API answers at {self.stack.api_url}")

    async def runs(self, program: str) -> None:
        """It has a process, which has lived for a second."""

        async def has_settled() -> bool:
            return self.stack.supervisor.info(program).state == "running"

        await self._until(program, None, has_settled)

    async def _postgres_serves(self) -> bool:
        # Late, like Temporal's SDK: `up` has other things to do first.
        from orderkit.store.administration import is_serving, make_database

        try:
            return await is_serving(self.stack.database_url)
        except SettingsError as error:
            if self.stack.elsewhere:
                raise LabError(f"PostgreSQL refuses ORDERKIT_DATABASE_URL: {error}") from None
            # a new cluster, or a role with another password
        try:
            superuser = self.stack.superuser_url("postgres")
            await make_database(superuser, postgres.ROLE, self.stack.secrets.orderkit, postgres.DATABASE)
        except SettingsError:
            raise LabError(
                "the passwords in secrets.json are not those of this PostgreSQL: put the right file back, or remove "
                "the lab's folder to start again (all its orders are gone then)"
            ) from None
        return await is_serving(self.stack.database_url)

    async def _temporal_serves(self) -> bool:
        try:
            return await is_serving(await self.stack.connect_quietly())
        except DependencyUnavailable:
            return False

    async def _until(self, program: str, port: int | None, serves: Callable[[], Awaitable[bool]]) -> None:
        """Wait until the program has a process, only that process listens on its port, and it serves."""
        well = time.monotonic()  # when nobody else had the port
        while True:
            info = self.stack.supervisor.info(program)
            pid = info.pid
            its_own = bool(pid) and (port is None or listens(pid, port))
            if its_own and await serves():
                return
            if its_own or port is None or is_free(port):
                well = time.monotonic()
            elif time.monotonic() - well > _FOREIGN_SECONDS:
                raise PortLost(f"Port {port} was taken meanwhile; {TITLES[program]} needs another")
            if pid:
                self._pids.setdefault(program, set()).add(pid)
            if len(self._pids.get(program, ())) >= _TOO_MANY_STARTS:
                raise LabError(f"{program} dies as soon as it starts. {self._evidence(program)}")
            if time.monotonic() > self.deadline:
                state = info.state + (f": {info.problem}" if info.problem else "")
                raise LabError(f"{program} does not serve in time (it is {state}). {self._evidence(program)}")
            await asyncio.sleep(_LOOK_SECONDS)

    def _evidence(self, program: str) -> str:
        log = self.stack.log(program)
        try:
            lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        except OSError:
            lines = []
        last = "; its last lines:\n  " + "\n  ".join(lines[-5:]) if lines else " is empty"
        return f"Its log {log}{last}\nTry: orderkit doctor"
