"""Start the local stack for a command, and stop it however the command ends: Ctrl-C, a closed terminal, SIGTERM."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from orderkit.cli.output import err, out

if TYPE_CHECKING:
    from orderkit.stack.stack import Stack

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def interrupted_once() -> Iterator[None]:
    """Inside, the first signal raises KeyboardInterrupt. Later ones are ignored: nothing interrupts the stop.

    A hang-up that `nohup` has turned off stays off.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        undisturbed()
        raise KeyboardInterrupt

    heard = [each for each in _SIGNALS if each.name != "SIGHUP" or signal.getsignal(each) is not signal.SIG_IGN]
    before = {each: signal.signal(each, interrupt) for each in heard}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def undisturbed() -> None:
    """From here to the end of `interrupted_once` signals are ignored: for a stop that no signal has caused."""
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)


@contextmanager
def lab_of_its_own(purpose: str, spent: Callable[[], bool] = lambda: True) -> Iterator[Stack]:
    """A fresh lab in a temporary folder. Afterwards the folder is removed if `spent()`, else kept as evidence."""
    from orderkit.stack.lifecycle import up

    with folder_of_its_own(purpose, spent) as home:
        with err.status("Starting a lab of its own …"):
            stack = up(home, preferred={})
        yield stack


@contextmanager
def folder_of_its_own(purpose: str, spent: Callable[[], bool] = lambda: True) -> Iterator[Path]:
    """For a lab in a temporary folder. Afterwards the lab is down, and the folder is removed if `spent()`."""
    from orderkit.stack.lifecycle import down

    folder = Path(tempfile.mkdtemp(prefix=f"orderkit-{purpose}-"))
    home = folder / ".orderkit"
    with interrupted_once():
        try:
            yield home
        finally:
            undisturbed()
            down(home)
            if spent():
                shutil.rmtree(folder, ignore_errors=True)
            else:
                err.print(f"the lab is kept as evidence; look into it: ORDERKIT_HOME={home} orderkit up")


@contextmanager
def lab_of_the_folder(keep: bool = False, quiet: bool = False) -> Iterator[Stack]:
    """The folder's lab; stopped afterwards where it did not run before."""
    from orderkit.stack.stack import find_stack
    from orderkit.stack.target import find_place

    before = find_stack(find_place().home)
    stays = keep or (before is not None and before.alive())
    with interrupted_once():
        try:
            yield start(quiet=True)
        finally:
            if not stays:
                undisturbed()
                stop()
    if not (stays or quiet):
        out.print("\nThe lab was started for this and is stopped again.\n`orderkit up` keeps it.")


def stop() -> list[str]:
    """Stop the lab, even when the terminal is closed; returns the names of the programs that ran."""
    from orderkit.stack.jupyter import end_orphans
    from orderkit.stack.lifecycle import down
    from orderkit.stack.target import find_place

    orphans = end_orphans(find_place().home)
    try:
        with err.status("Stopping …"):
            return [*orphans, *down()]
    except OSError:
        return [*orphans, *down()]


def start(workers: int = 1, *, quiet: bool = False) -> Stack:
    """Start the stack and show the progress; `quiet`: not which ports it took."""
    from orderkit.stack.lifecycle import up

    with err.status("Starting …") as status:
        stack = up(workers=workers, progress=lambda line: status.update(f"{line} …"))
    for notice in () if quiet else stack.notices:
        err.print(f"[yellow]note:[/] {notice}")
    return stack
