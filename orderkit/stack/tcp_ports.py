"""Which ports a lab listens on: the well-known ones where they are free, else others; the same ones every time."""

from __future__ import annotations

import random
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

import psutil

LOOPBACK = "127.0.0.1"
PREFERRED: Mapping[str, int] = {"postgres": 5432, "temporal": 7233, "temporal_ui": 8080, "api": 8000}
TITLES = {
    "postgres": "PostgreSQL",
    "temporal": "Temporal",
    "temporal_ui": "Temporal's UI",
    "temporal_http": "Temporal's HTTP API",
    "temporal_metrics": "Temporal's metrics",
    "api": "the API",
    "supervisor": "supervisord",
}
# Below the ports that systems hand out to outgoing connections: a server that restarts finds its own port free again.
_OTHERS = range(20_000, 32_000)


@dataclass(frozen=True)
class TcpPorts:
    """The port of each thing that listens, all on 127.0.0.1; 0 for what is elsewhere."""

    postgres: int
    temporal: int
    temporal_ui: int
    temporal_http: int
    temporal_metrics: int
    api: int
    supervisor: int


NAMES = tuple(field.name for field in fields(TcpPorts))


def is_free(port: int) -> bool:
    """Whether a server could listen here now."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        # Some systems let two servers share a port when one is bound to every address: so look for a listener, too.
        if probe.connect_ex((LOOPBACK, port)) == 0:
            return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def holder(port: int) -> str:
    """Who listens on a port, as `name (pid)`; `something else` where the system does not say."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
                if connection.pid:
                    return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
                break
    except (psutil.Error, OSError):
        pass  # macOS tells this to root only
    return "something else"


def listens(pid: int, port: int) -> bool:
    """Whether this very process listens on the port; true where the system does not say."""
    try:
        connections = psutil.Process(pid).net_connections("tcp")
    except psutil.NoSuchProcess:
        return False
    except (psutil.Error, OSError):
        return True
    return any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in connections)


def listening(pid: int) -> list[int]:
    """The ports on which this very process listens; none where the system does not say."""
    try:
        connections = psutil.Process(pid).net_connections("tcp")
    except (psutil.Error, OSError):
        return []
    return sorted(each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN)


def choose(
    remembered: TcpPorts | None, preferred: Mapping[str, int] = PREFERRED, names: Sequence[str] = NAMES
) -> tuple[TcpPorts, list[str]]:
    """Free ports for these names, 0 for the others, and a sentence for each that is not where it was expected."""
    before: dict[str, int] = asdict(remembered) if remembered else {}
    chosen: dict[str, int] = {}
    notices: list[str] = []
    for name in names:
        expected = before.get(name) or preferred.get(name)
        if expected and expected not in chosen.values() and is_free(expected):
            chosen[name] = expected
        else:
            chosen[name] = another(chosen)
            if expected:
                notices.append(
                    f"Port {expected} is taken by {holder(expected)}; {TITLES[name]} listens on {chosen[name]}."
                )
    kept = {name: port for name, port in preferred.items() if before.get(name) == chosen.get(name)}
    ports = TcpPorts(**dict.fromkeys(NAMES, 0) | chosen)
    return ports, notices + moved(ports, kept)


def another(chosen: Mapping[str, int]) -> int:
    """A free port that is not among those chosen."""
    for port in random.sample(_OTHERS, 500):
        if port not in chosen.values() and is_free(port):
            return port
    raise OSError("500 ports were tried and none is free")


def moved(ports: TcpPorts, preferred: Mapping[str, int] = PREFERRED) -> list[str]:
    """A sentence for each port that an earlier start moved."""
    return [
        f"{TITLES[name][0].upper()}{TITLES[name][1:]} listens on {getattr(ports, name)}, not {port}."
        for name, port in preferred.items()
        if getattr(ports, name) not in (0, port)
    ]
