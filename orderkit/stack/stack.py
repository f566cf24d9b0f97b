"""One lab: where it is, how to reach it, and how to start, stop, kill and pause its programs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from pydantic import SecretStr

from orderkit import __version__
from orderkit.errors import LabError
from orderkit.settings import Settings, address_of_port
from orderkit.stack import postgres, programs, temporal
from orderkit.stack.elsewhere import Elsewhere
from orderkit.stack.processes import MARK, NAME, end, label, unsupervised, wait_gone, wake
from orderkit.stack.secrets import Secrets, read_secrets, write_private
from orderkit.stack.supervision import RUNNING, ProcessInfo, Supervisor
from orderkit.stack.tcp_ports import LOOPBACK, TcpPorts, listening, moved

if TYPE_CHECKING:
    from temporalio.client import Client
    from temporalio.envconfig import ClientConnectConfig

    from orderkit.temporal.client import TemporalSettings

_STACK = "stack.json"


@dataclass(frozen=True)
class Stack:
    """A lab that was started at some time. Calls block for milliseconds; `kill` and what says so, for seconds at most.

    Programs are called postgres, temporal, api, worker-0, worker-1 …
    """

    home: Path
    ports: TcpPorts
    secrets: Secrets = field(repr=False)
    notices: tuple[str, ...] = ()  # what the user should know: ports that moved, permissions that changed
    elsewhere: Elsewhere | None = None  # set if PostgreSQL and Temporal are not the lab's own
    public_url: str = ""  # ORDERKIT_PUBLIC_URL as it was when its programs started; see find_public_url

    @property
    def database_url(self) -> str:
        """The database orderkit, with its password."""
        if self.elsewhere:
            return self.elsewhere.database_url
        return postgres.url(self.ports.postgres, self.secrets.orderkit)

    def superuser_url(self, database: str = postgres.DATABASE) -> str:
        """A database of this lab as PostgreSQL's superuser, for backups and for more databases."""
        if self.elsewhere:
            raise LabError("PostgreSQL is not this lab's: only its administrator has the superuser's password")
        return postgres.url(self.ports.postgres, self.secrets.postgres, user=postgres.SUPERUSER, database=database)

    @property
    def temporal_address(self) -> str:
        """Host and port of Temporal's frontend."""
        return self.elsewhere.temporal.address if self.elsewhere else f"{LOOPBACK}:{self.ports.temporal}"

    @property
    def ui_url(self) -> str:
        """Temporal's UI."""
        return self.elsewhere.settings().temporal_ui_url if self.elsewhere else self._own_ui_url

    @property
    def _own_ui_url(self) -> str:
        return address_of_port(self.public_url, self.ports.temporal_ui)

    @property
    def api_url(self) -> str:
        """The REST API."""
        return f"http://{LOOPBACK}:{self.ports.api}"

    @property
    def docs_url(self) -> str:
        """The REST API's page, for the learner's browser."""
        return f"{address_of_port(self.public_url, self.ports.api)}/docs"

    @property
    def supervisor(self) -> Supervisor:
        """Its supervisord."""
        return Supervisor(self.ports.supervisor, self.secrets.supervisor)

    def environment(self) -> dict[str, str]:
        """The variables that lead a child process to this lab."""
        return programs.environment(self.home, self.ports, self.database_url, self.elsewhere, self.public_url)

    def settings(self) -> Settings:
        """The settings of a process that uses this lab."""
        if self.elsewhere:
            own = {"home": self.home, "api_host": LOOPBACK, "api_port": self.ports.api, "public_url": self.public_url}
            return self.elsewhere.settings(**own)
        codec_key_file = self.home / programs.CODEC_KEY
        return Settings(
            home=self.home,
            database_url=SecretStr(self.database_url),
            api_host=LOOPBACK,
            api_port=self.ports.api,
            temporal_ui_url=self._own_ui_url,
            public_url=self.public_url,
            codec_key_file=codec_key_file if codec_key_file.exists() else None,
        )

    def temporal_settings(self) -> TemporalSettings:
        """How a process reaches this lab's Temporal; its environment does not matter."""
        if self.elsewhere:
            return self.elsewhere.temporal
        from orderkit.temporal.client import TemporalSettings  # late, here and below: the SDK takes 0.3 s

        return TemporalSettings(self._own_connection(), tuple(self.settings().codec_keys()))

    def _own_connection(self) -> ClientConnectConfig:
        return {"target_host": self.temporal_address, "namespace": temporal.NAMESPACE}

    async def connect_quietly(self) -> Client:
        """A client of this lab's Temporal that logs nothing; raises DependencyUnavailable within about a second."""
        from orderkit.temporal.server import connect_quietly

        return await connect_quietly(self.elsewhere.temporal.connection if self.elsewhere else self._own_connection())

    def alive(self) -> bool:
        """Whether its supervisord runs; see `status` for each program."""
        return self.supervisor.alive()

    def pid(self, program: str) -> int | None:
        """The program's process, None while it has none."""
        return self.supervisor.info(program).pid or None

    def workers(self) -> list[str]:
        """The workers that run."""
        known = self.supervisor.processes()
        return [name for name, info in known.items() if name.startswith("worker-") and info.state in RUNNING]

    def metrics_urls(self) -> dict[str, str]:
        """Where Prometheus finds metrics, by program: the API's, and those of the workers that run."""
        found = {"api": f"{self.api_url}/metrics"} if self.pid("api") else {}
        for name in self.workers():
            if url := self.metrics_url(self.pid(name)):
                found[name] = url
        return found

    @staticmethod
    def metrics_url(worker_pid: int | None) -> str:
        """Of a worker, which listens for nothing else; empty while it does not."""
        ports = listening(worker_pid) if worker_pid else []
        return f"http://{LOOPBACK}:{ports[0]}/metrics" if ports else ""

    def environment_of_extra(self, name: str) -> dict[str, str]:
        """The same for a worker beside the supervised ones: it is found by this name, and `down` ends it."""
        return {**self.environment(), MARK: str(self.home), NAME: name}

    def extra(self) -> list[psutil.Process]:
        """This lab's processes that its supervisord did not start, mostly extra workers; see `label`."""
        return unsupervised(self.home, self.supervisor.pid())

    def end_extra(self, name: str | None = None) -> list[str]:
        """End those of this name, or all of them, gracefully and then by force; returns the names of what ran."""
        ended = [process for process in self.extra() if name in (None, label(process))]
        names = sorted({label(process) for process in ended})
        end(ended)
        return names

    def kill(self, program: str, *, restart: bool = True) -> int:
        """SIGKILL; returns the pid that died. supervisord restarts it at once, unless `restart` is false."""
        with self._process(program) as process:
            if not restart:
                process.suspend()  # so that it cannot react to the stop request
        if not restart:
            self.supervisor.stop(program)
        children: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess):  # supervisord's own stop may have been quicker
            children = process.children(recursive=True)
            process.kill()
        wake(children)  # a paused backend of PostgreSQL would hold the shared memory, and no new one could start
        if wait_gone([process], 5):
            raise LabError(f"{program} (pid {process.pid}) is still there 5 s after SIGKILL")
        return process.pid

    def kill_own(self, program: str) -> dict[str, int]:
        """SIGKILL to a program of this lab's, `worker` for all that run; returns the pids that died, by name.

        Raises LabError for a server elsewhere, and where nothing of the name runs.
        """
        if self.elsewhere and (why := self.elsewhere.spared(program)):
            raise LabError(why)
        names = self.workers() if program == "worker" else [program]
        if not names:
            raise LabError("no worker of this lab runs; start one: orderkit up")
        return {name: self.kill(name) for name in names}

    def pause(self, program: str) -> int:
        """SIGSTOP to it and its children: it keeps its ports and connections, and does nothing. Returns its pid."""
        with self._process(program) as process:
            process.suspend()
            for child in process.children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    child.suspend()
            return process.pid

    def resume(self, program: str) -> int:
        """SIGCONT after `pause`; returns its pid."""
        with self._process(program) as process:
            wake([*process.children(recursive=True), process])
            return process.pid

    def start_program(self, program: str) -> None:
        """Start what was stopped, or gave up; does not wait until it serves."""
        self.supervisor.start(program)

    def stop_program(self, program: str, timeout_seconds: float = 15) -> None:
        """Stop it gracefully, and wait; it stays stopped until `start_program` or the next `up`."""
        with suppress(LabError), self._process(program) as process:
            wake([process])
        self.supervisor.stop(program)
        self._wait(program, lambda info: info.pid == 0, timeout_seconds, "did not stop")

    def wait_running(self, program: str, *, other_than: int | None = None, timeout_seconds: float = 10) -> int:
        """Wait until it has a process, another one than the pid that was killed; returns the pid."""
        return self._wait(program, lambda info: info.pid not in (0, other_than), timeout_seconds, "was not started").pid

    def scale_workers(self, count: int) -> list[str]:
        """Let exactly this many workers run, the first ones; returns their names. Does not wait."""
        if count not in range(programs.MAX_WORKERS + 1):
            raise LabError(f"the lab runs 0 to {programs.MAX_WORKERS} workers, not {count!r}")
        count = int(count)  # of numpy's, perhaps
        names = [f"worker-{number}" for number in range(programs.MAX_WORKERS)]
        for name in names[count:]:
            self.supervisor.stop(name)
        for name in names[:count]:
            self.supervisor.start(name)
        return names[:count]

    def log(self, program: str) -> Path:
        """The file with what the program wrote."""
        return self.home / "logs" / f"{program}.log"

    def save(self) -> None:
        """Write stack.json."""
        kept: dict[str, object] = {"version": __version__, "ports": asdict(self.ports), "public_url": self.public_url}
        if self.elsewhere:
            kept["elsewhere"] = dict(self.elsewhere.variables)
        write_private(self.home / _STACK, json.dumps(kept, indent=2))

    @contextmanager
    def _process(self, program: str) -> Iterator[psutil.Process]:
        try:
            if pid := self.pid(program):
                yield psutil.Process(pid)
                return
        except psutil.NoSuchProcess:
            pass
        raise LabError(
            f"{program} is not running; start it with start_program({program!r}), or everything with: orderkit up"
        )

    def _wait(
        self, program: str, met: Callable[[ProcessInfo], bool], timeout_seconds: float, trouble: str
    ) -> ProcessInfo:
        deadline = time.monotonic() + timeout_seconds
        while not met(info := self.supervisor.info(program)):
            if time.monotonic() > deadline:
                why = f"it is {info.state}" + (f": {info.problem}" if info.problem else "")
                raise LabError(f"{program} {trouble} within {timeout_seconds:g} s; {why}. Its log: {self.log(program)}")
            time.sleep(0.03)
        return info


def find_stack(home: Path) -> Stack | None:
    """The lab that was started in this folder, running or not; None if there never was one.

    Raises LabError for one that a newer orderkit has started: its folder may hold what this version does not know.
    """
    try:
        kept = json.loads((home / _STACK).read_text())
        version = str(kept.get("version", "0"))  # the first ones did not write it down
        if _numbers(version) > _numbers(__version__):
            raise LabError(
                f"orderkit {version} has used the lab in {home}, and this is orderkit {__version__}: "
                "use the newer one, or choose another folder with ORDERKIT_HOME"
            )
        ports = TcpPorts(**kept["ports"])
        secrets = read_secrets(home)
        elsewhere = Elsewhere(dict(kept["elsewhere"])) if "elsewhere" in kept else None
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LabError(f"{home / _STACK} is damaged ({error}); remove {_STACK} and start again") from None
    return Stack(home, ports, secrets, tuple(moved(ports)), elsewhere, str(kept.get("public_url", "")))


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".") if number.isdigit()]
