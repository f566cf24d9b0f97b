"""`up` and `down`: start, adopt, replace, and end a lab. Both block; in a notebook call them in a thread."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from orderkit.errors import LabError
from orderkit.stack import postgres, temporal
from orderkit.stack.elsewhere import FOLDER, Elsewhere
from orderkit.stack.ending import end_everything
from orderkit.stack.processes import processes_of, wake
from orderkit.stack.programs import (
    MAX_WORKERS,
    PROGRAMS,
    SERVERS,
    Program,
    configuration,
    standard,
    supervised_environment,
)
from orderkit.stack.public_address import find_public_url
from orderkit.stack.readiness import Migrate, PortLost, Progress, Readiness
from orderkit.stack.secrets import make_secrets, write_private
from orderkit.stack.stack import Stack, find_stack
from orderkit.stack.supervision import launch, launched
from orderkit.stack.target import find_place
from orderkit.stack.tcp_ports import NAMES, PREFERRED, choose, is_free

_CONFIGURATION = "supervisord.conf"


def _silent(_: str) -> None:
    """Ignores progress."""


def up(
    home: Path | None = None,
    *,
    elsewhere: Elsewhere | None = None,
    programs: Sequence[str] = PROGRAMS,
    workers: int = 1,
    extra: Sequence[Program] = (),
    migrate: Migrate | None = None,
    preferred: Mapping[str, int] = PREFERRED,
    progress: Progress = _silent,
    timeout_seconds: float = 60,
) -> Stack:
    """Start what is missing of the lab in `home`, and return the lab; raises LabError with the evidence.

    What runs is adopted, what died is started, what an earlier lab left behind is ended first. A fresh start that fails
    or is interrupted takes back what it started. `extra` programs are started too. `migrate` is called once PostgreSQL
    answers; the default is the package's own when workers or the API are wanted.

    With `elsewhere` PostgreSQL and Temporal are not the lab's own, and only the other programs start. A lab keeps using
    these servers until others are named. Without `home`, the environment decides which lab it is.
    """
    if home is None:
        home, elsewhere = find_place()
    home = home.resolve()
    if elsewhere:
        elsewhere.settings()  # raises SettingsError now, before anything has started
    if not 0 <= workers <= MAX_WORKERS:
        raise LabError(f"the lab runs 0 to {MAX_WORKERS} workers, not {workers}")
    if unknown := set(programs) - set(PROGRAMS):
        raise LabError(f"unknown programs {', '.join(sorted(unknown))}; the lab has {', '.join(PROGRAMS)}")
    if migrate is None and set(programs) - set(SERVERS):
        from orderkit.store.migrations import migrate
    deadline = time.monotonic() + timeout_seconds
    make_home(home)
    with _locked(home):
        for _ in range(3):
            stack = find_stack(home)
            elsewhere = _servers_of(stack, elsewhere)
            adopted = stack is not None and stack.elsewhere == elsewhere and stack.alive()
            try:
                if stack is None or not adopted:
                    stack = _launch(home, elsewhere, extra, preferred, progress)
                else:
                    _adopt(stack, extra, progress)
                wanted = _wanted([each for each in programs if not (elsewhere and each in SERVERS)], workers, extra)
                asyncio.run(_serve(stack, wanted, Readiness(stack, deadline, progress), migrate))
                return stack
            except PortLost as lost:
                progress(str(lost))
                end_everything(home)
            except BaseException:
                if not adopted:
                    end_everything(home)
                raise
    raise LabError("three times in a row another program took a port that the lab had chosen; try again: orderkit up")


def down(home: Path | None = None) -> list[str]:
    """End every process of the lab in `home`, supervised or not; its data stays. Returns the names of what ran.

    Also those of the lab inside it that uses servers elsewhere; the servers themselves are not touched.
    """
    home = (home or find_place().home).resolve()
    inside = home / FOLDER
    ended = _end(inside) if inside.is_dir() else []
    return ended + _end(home)


def _end(home: Path) -> list[str]:
    if not home.is_dir():
        return end_everything(home)
    with _locked(home):
        return end_everything(home)


def _servers_of(stack: Stack | None, named: Elsewhere | None) -> Elsewhere | None:
    """The servers to use: those that are named, else those that the lab had. Raises LabError for a mixture."""
    if stack is None or stack.elsewhere:
        return named or (stack.elsewhere if stack else None)
    if named:
        raise LabError(f"the lab in {stack.home} has its own servers; to use servers elsewhere, choose another folder")
    return None


def _launch(
    home: Path, elsewhere: Elsewhere | None, extra: Sequence[Program], preferred: Mapping[str, int], progress: Progress
) -> Stack:
    """A new supervisord, with PostgreSQL's and Temporal's data ready for them where they are the lab's own."""
    if leftovers := end_everything(home):
        progress(f"Ended what an earlier lab had left: {', '.join(leftovers)}")
    if elsewhere is None:
        postgres.forget_stranger(home)
    before = find_stack(home)
    ports, notices = choose(before.ports if before else None, preferred, ("api", "supervisor") if elsewhere else NAMES)
    stack = Stack(home, ports, make_secrets(home), elsewhere=elsewhere, public_url=find_public_url())
    stack.save()
    if elsewhere is None:
        temporal.prepare(home, ports)
        notices += postgres.permit(home)
    _configure(stack, extra)
    starter = launch(home, supervised_environment(home, ports, stack.database_url, elsewhere, stack.public_url))
    try:
        if elsewhere is None and not postgres.is_initialised(home):
            progress("Making PostgreSQL's data folder (once)")
            postgres.initialise(home, stack.secrets.postgres)
    finally:
        _wait_launched(starter, ports.supervisor)
    return replace(stack, notices=tuple(notices))


def _wait_launched(starter: subprocess.Popen[str], port: int) -> None:
    try:
        launched(starter)
    except LabError:
        if not is_free(port):
            raise PortLost(f"Port {port} was taken meanwhile; supervisord needs another") from None
        raise


def _configure(stack: Stack, extra: Sequence[Program]) -> None:
    own = standard(stack.home, stack.ports, servers=stack.elsewhere is None, public_url=stack.public_url)
    programs = [*own, *extra]
    text = configuration(programs, stack.ports.supervisor, stack.secrets.supervisor)
    write_private(stack.home / _CONFIGURATION, text)


def _adopt(stack: Stack, extra: Sequence[Program], progress: Progress) -> None:
    """Take over what runs: paused processes go on, new programs become known, workers beside the lab's own leave."""
    wake(processes_of(stack.home))
    if strays := stack.end_extra():
        progress(f"Ended what an earlier notebook had left: {', '.join(strays)}")
    if extra:
        _configure(stack, extra)
        stack.supervisor.reload()


def _wanted(programs: Sequence[str], workers: int, extra: Sequence[Program]) -> list[str]:
    counts = {"worker": workers} | {each.name: each.copies for each in extra if each.copies}
    names = [*(name for name in PROGRAMS if name in programs), *(each.name for each in extra)]
    return [
        process
        for name in names
        for process in ([f"{name}-{number}" for number in range(counts[name])] if name in counts else [name])
    ]


def _start(stack: Stack, name: str) -> None:
    if name == "temporal" and not stack.pid(name):
        temporal.prepare(stack.home, stack.ports)
    stack.start_program(name)


async def _serve(stack: Stack, wanted: Sequence[str], readiness: Readiness, migrate: Migrate | None) -> None:
    """Start what does not run, all at once: workers and API wait for the servers. Return when all of it serves."""
    for name in wanted:
        _start(stack, name)
    await asyncio.gather(
        *([readiness.database(migrate)] if "postgres" in wanted else []),
        *([readiness.temporal()] if "temporal" in wanted else []),
        *([readiness.elsewhere(stack.elsewhere, migrate)] if stack.elsewhere else []),
    )
    rest = [name for name in wanted if name not in SERVERS]
    workers = [name for name in rest if name.startswith("worker-")]
    others = [name for name in rest if name not in (*workers, "api")]
    await asyncio.gather(
        *([readiness.workers(workers)] if workers else []),
        *([readiness.api()] if "api" in rest else []),
        *(readiness.runs(name) for name in others),
    )


def make_home(home: Path) -> None:
    """Make a lab's folder, if it is not there. Raises LabError."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        (home / "logs").mkdir(mode=0o700, exist_ok=True)
        (home / ".gitignore").write_text("*\n")
    except OSError as error:
        raise LabError(
            f"the lab's folder {home} cannot be used ({error.strerror}); choose another with ORDERKIT_HOME"
        ) from error


@contextmanager
def _locked(home: Path, timeout_seconds: float = 90) -> Iterator[None]:
    """One `up` or `down` at a time; the lock ends with its process."""
    import fcntl  # late: Windows lacks it, and may still import this package

    deadline = time.monotonic() + timeout_seconds
    with (home / "lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LabError(
                        f"another `orderkit up` or `down` is at work on {home}; wait for it, or end it"
                    ) from None
                time.sleep(0.1)
        yield
