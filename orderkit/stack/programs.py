"""The programs of a lab, and their configuration for supervisord.

Paths and secrets travel in the environment and `sh` puts them in, so that no space, quote, `%`, `;` or `#` in
a path meets the configuration's own syntax. Everything else is relative to the home, where supervisord works.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orderkit.stack import postgres, temporal
from orderkit.stack.elsewhere import Elsewhere
from orderkit.stack.environment import inherited_environment
from orderkit.stack.processes import MARK
from orderkit.stack.tcp_ports import LOOPBACK, TcpPorts

MAX_WORKERS = 8
SERVERS = ("postgres", "temporal")
CODEC_KEY = "codec.key"  # in the home; where it is, all of the lab encrypts what Temporal stores
PROGRAMS = (*SERVERS, "worker", "api")
# Not for the servers: what they keep is encrypted from them, too.
_OURS = ("ORDERKIT_DATABASE_URL", "ORDERKIT_API_KEY", "ORDERKIT_CODEC_KEY", "ORDERKIT_CODEC_KEY_FILE")


@dataclass(frozen=True)
class Program:
    """One program, or `copies` of it called name-0, name-1 …; `script` is for `sh` and ends in `exec`."""

    name: str
    script: str
    copies: int = 0
    stop_signal: str = "TERM"
    stop_seconds: int = 10  # then SIGKILL
    user: str | None = None


def standard(home: Path, ports: TcpPorts, *, servers: bool = True, public_url: str = "") -> list[Program]:
    """The lab's own programs, in the order in which they start; they stop in reverse."""
    python = 'exec "$ORDERKIT_LAB_PYTHON" -m orderkit'
    # Each on a free port: `status` finds it by the process.
    metrics = "export ORDERKIT_WORKER_METRICS_HOST=127.0.0.1 ORDERKIT_WORKER_METRICS_PORT=0; "
    ours = [Program("worker", f"{metrics}{python} worker", copies=MAX_WORKERS), Program("api", f"{python} api")]
    if not servers:
        return ours
    without = f"unset {' '.join(_OURS)}; "
    return [
        Program("postgres", without + postgres.script(ports.postgres), stop_signal="INT", user=postgres.account(home)),
        # SQLite's log keeps all that it acknowledged; its own way to stop takes a second.
        Program("temporal", without + temporal.script(ports, public_url), stop_signal="KILL"),
        *ours,
    ]


def environment(
    home: Path, ports: TcpPorts, database_url: str, elsewhere: Elsewhere | None = None, public_url: str = ""
) -> dict[str, str]:
    """The variables with which a process uses this lab, or its servers elsewhere."""
    own = {"ORDERKIT_HOME": str(home), "ORDERKIT_API_PORT": str(ports.api), "ORDERKIT_PUBLIC_URL": public_url}
    if elsewhere:
        return elsewhere.environment() | own
    codec_key = {"ORDERKIT_CODEC_KEY_FILE": str(home / CODEC_KEY)} if (home / CODEC_KEY).exists() else {}
    return {
        **codec_key,
        **own,
        "ORDERKIT_DATABASE_URL": database_url,
        "TEMPORAL_ADDRESS": f"{LOOPBACK}:{ports.temporal}",
        "TEMPORAL_NAMESPACE": temporal.NAMESPACE,
        # The user's own configuration file may name a cloud, with keys that don't belong here.
        "TEMPORAL_CONFIG_FILE": str(home / "temporal.toml"),
    }


def supervised_environment(
    home: Path, ports: TcpPorts, database_url: str, elsewhere: Elsewhere | None = None, public_url: str = ""
) -> dict[str, str]:
    """The environment of supervisord, which its children inherit."""
    # Temporal's server needs its user's name, and ends if neither the system nor the environment has one.
    person = {"USER": "orderkit", "HOME": str(home)}
    told = {
        **person,
        **inherited_environment(),
        **environment(home, ports, database_url, elsewhere, public_url),
        MARK: str(home),
        "ORDERKIT_LAB_PYTHON": sys.executable,
        "PYTHONUNBUFFERED": "1",
    }
    if elsewhere:
        return told
    return told | {
        "ORDERKIT_LAB_POSTGRES": str(postgres.binary("postgres", postgres.data_version(home))),
        "ORDERKIT_LAB_TEMPORAL": str(temporal.binary()),
    }


def configuration(programs: Sequence[Program], port: int, password: str) -> str:
    """The text of supervisord.conf."""
    sections: dict[str, Mapping[str, str]] = {
        "supervisord": {
            "pidfile": "supervisord.pid",
            "logfile": "logs/supervisord.log",
            "logfile_maxbytes": "5MB",
            "logfile_backups": "1",
            "umask": "077",
            "nocleanup": "true",
            "minfds": str(_open_files()),
        },
        "rpcinterface:supervisor": {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface",
        },
        "inet_http_server": {"port": f"{LOOPBACK}:{port}", "username": "orderkit", "password": password},
    }
    for priority, program in enumerate(programs):
        sections[f"program:{program.name}"] = _section(program, priority)
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key}={value}\n" for key, value in section.items())
        for name, section in sections.items()
    )


def _open_files() -> int:
    """How many files supervisord and its children may have open: 1,024, or as many as this session allows."""
    import resource  # late: Windows lacks it

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 1_024 if hard == resource.RLIM_INFINITY else min(1_024, hard)


def _section(program: Program, priority: int) -> Mapping[str, str]:
    name = f"{program.name}-%(process_num)d" if program.copies else program.name
    section = {
        "command": shlex.join(["/bin/sh", "-c", program.script]).replace("%", "%%"),
        "process_name": name,
        "numprocs": str(program.copies or 1),
        "priority": str(priority),
        "autostart": "false",  # `up` says what starts, and how many
        "autorestart": "true",
        # It dies within a second of its start: the next try waits a second longer than the last. It never gives up by
        # itself; `up` and `start` try again at once.
        "startsecs": "1",
        "startretries": "100000",
        "stopsignal": program.stop_signal,
        "stopwaitsecs": str(program.stop_seconds),
        "stopasgroup": "false" if program.stop_signal == "INT" else "true",
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": f"logs/{name}.log",
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": "2",
    }
    return section | ({"user": program.user} if program.user else {})


def is_spare(program: str, state: str) -> bool:
    """Whether it is a second worker that was stopped again: nothing is missing without it."""
    return program.startswith("worker-") and program != "worker-0" and state == "stopped"
