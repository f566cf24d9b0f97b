"""The lab's PostgreSQL as it was at a moment: a base backup, every change since, and a server that replays them.

`archive` streams each change into a folder while it happens; `restore_to` makes a new lab's data from such a folder.
Temporal's histories are not in it. For a server elsewhere, whoever runs it has such an archive, or should have.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from orderkit.errors import LabError
from orderkit.stack import postgres
from orderkit.stack.backup import Database
from orderkit.stack.environment import inherited_environment
from orderkit.stack.lifecycle import make_home
from orderkit.stack.processes import is_root
from orderkit.stack.secrets import read_secrets, write_private
from orderkit.stack.stack import Stack
from orderkit.stack.tcp_ports import LOOPBACK, another

_CHANGES, _BASE, _BEGINS, _SECRETS = "wal", "base", "begins", "secrets.json"
_START_SECONDS = 20.0
_REPLAY_SECONDS = 600.0
_GAP_SECONDS = 2.0


@contextmanager
def archive(stack: Stack, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Keep what happens from now on, in `folder`, until the block ends; an archive that is there is gone on with.

    Yields the process that streams; it waits by itself for a server that comes back. Raises LabError.
    """
    (folder / _CHANGES).mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database.of_url(stack.superuser_url("postgres"), inherited_environment())
    command = [
        *(str(postgres.binary("pg_receivewal")), f"--directory={folder / _CHANGES}", "--synchronous"),
        f"--dbname={database.url}",
    ]
    resumed = (folder / _BASE).exists()
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, env=database.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as stream,
    ):
        try:
            _wait(lambda: any((folder / _CHANGES).glob("*.partial")), stream, folder / "log", _START_SECONDS)
            if resumed:
                _check_nothing_is_missing(folder)
            else:
                unfinished = folder / f"{_BASE}.unfinished"
                shutil.rmtree(unfinished, ignore_errors=True)
                database.run("pg_basebackup", "--checkpoint=fast", f"--pgdata={unfinished}")
                # The restored server has the same passwords.
                write_private(folder / _SECRETS, (stack.home / _SECRETS).read_text())
                (folder / _BEGINS).write_text(datetime.now(UTC).isoformat())
                unfinished.rename(folder / _BASE)
            yield stream
        finally:
            stream.terminate()


def _check_nothing_is_missing(folder: Path) -> None:
    """Raise LabError when the server no longer has what happened since the archive's end; it says so at once."""
    until = time.monotonic() + _GAP_SECONDS
    while time.monotonic() < until:
        if "has already been removed" in (folder / "log").read_text(errors="replace"):
            raise LabError(
                f"the server has thrown away changes since the archive in {folder} ended: restore from it as far as it "
                "goes, and begin another in a new folder"
            )
        time.sleep(0.1)


def restore_to(folder: Path, home: Path, until: datetime | None = None) -> None:
    """Make the data of the lab in `home`, which must have none, as it was at `until`, else at the archive's end.

    Raises LabError, also for a moment that the archive does not reach.
    """
    if not (folder / _BASE).is_dir():
        raise LabError(f"{folder} holds no archive; make one: orderkit db archive {folder}")
    begins = datetime.fromisoformat((folder / _BEGINS).read_text())
    if until and until < begins:  # PostgreSQL would silently give what it had then
        raise LabError(
            f"the archive in {folder} begins at {begins.astimezone():%Y-%m-%d %H:%M:%S %z}, after that moment"
        )
    if (home / postgres.DATA_FOLDER).exists():
        raise LabError(f"the lab in {home} has data already; name a folder for a new one with ORDERKIT_HOME")
    make_home(home)
    write_private(home / _SECRETS, (folder / _SECRETS).read_text())
    read_secrets(home)
    postgres.permit(home)
    unfinished, changes = home / f"{postgres.DATA_FOLDER}.restored", home / _CHANGES
    try:
        for copy, original in ((unfinished, _BASE), (changes, _CHANGES)):
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(folder / original, copy)
            postgres.give(home, copy)
        _replay(home, unfinished, changes, until)
        unfinished.rename(home / postgres.DATA_FOLDER)
    finally:
        for leftover in (unfinished, changes):
            shutil.rmtree(leftover, ignore_errors=True)


def _replay(home: Path, data: Path, changes: Path, until: datetime | None) -> None:
    """Start a server, let it replay up to the moment, and stop it."""
    signal = data / "recovery.signal"
    signal.touch()
    postgres.give(home, signal)
    settings = {
        "listen_addresses": LOOPBACK,  # it must listen somewhere; it asks for the passwords that it always had
        "port": str(another({})),
        "unix_socket_directories": "",
        "archive_mode": "off",
        # Else it calls itself ready while it still replays. Stopped there, it would later replay all the rest.
        "hot_standby": "off",
        # The last segment was not full yet.
        "restore_command": f'cp "{changes}/%f" "%p" 2>/dev/null || cp "{changes}/%f.partial" "%p" 2>/dev/null',
        "recovery_target_action": "promote",
    }
    if until:
        settings["recovery_target_time"] = until.isoformat()
    command = [str(postgres.binary("postgres", postgres.data_version_of(data))), "-D", str(data)]
    command += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    log = home / "logs" / "restore.log"
    account = postgres.account(home) if is_root() else None
    with (
        log.open("wb") as file,
        subprocess.Popen(
            command, cwd=home, env=inherited_environment() | {"LC_ALL": "C"}, stdin=subprocess.DEVNULL,
            stdout=file, stderr=file, **postgres.identity(account),
        ) as server,
    ):  # fmt: skip
        try:
            _wait(lambda: _is_ready(data), server, log, _REPLAY_SECONDS)
        finally:
            server.send_signal(2)  # SIGINT: it ends at once, in good order
            server.wait()


def _is_ready(data: Path) -> bool:
    try:
        return (data / "postmaster.pid").read_text().splitlines()[-1].strip() == "ready"
    except (OSError, IndexError):
        return False


def _wait(met: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, seconds: float) -> None:
    """Until it is met; raises LabError with the log's last words when the process ends, or the time is over."""
    until = time.monotonic() + seconds
    while not met():
        if process.poll() is not None or time.monotonic() > until:
            lines: list[str] = []
            with suppress(OSError):
                lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
            told = next((line for line in reversed(lines) if "FATAL" in line or "error" in line), "; ".join(lines[-1:]))
            raise LabError(f"{Path(str(process.args[0])).name} did not succeed: {told}")  # type: ignore[index]
        time.sleep(0.05)
