"""The class of this kernel: join, leave, go on in the next notebook, and the hooks around each cell."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from orderkit.analysis.markup import escape
from orderkit.classroom.invitation import Invitation, read_invitation
from orderkit.classroom.membership import Membership, ask_for_seat, speak_to
from orderkit.classroom.messages import Seat, tidy_name
from orderkit.classroom.record import CLASS_SECONDS, write_secret
from orderkit.errors import LabError, WaitExpired

FILE = "class-seat.json"

_current: Membership | None = None
_hooked: set[int] = set()  # shells


async def join(home: Path, word: str, name: str) -> tuple[str, str]:
    """Join; every notebook of this lab goes on telling the board. Returns name and board. Raises LabError."""
    invitation = read_invitation(word)
    try:
        name = tidy_name(name)
    except ValueError as error:
        raise LabError(str(error)) from None
    known = _read_seat(home)
    before = known[1].seat if known is not None and known[0] == invitation else ""
    try:
        async with speak_to(invitation) as http:
            seat = await ask_for_seat(http, invitation, name, before)
    except (httpx.HTTPError, ValueError) as error:
        why = f"no board answers at {invitation.host}:{invitation.port}"
        raise LabError(f"{why}; are you on the room's network, and is the word the one on the board?") from error
    _keep(home, invitation, seat)
    _begin(home, invitation, seat)
    return seat.name, invitation.host


def resume(home: Path) -> None:
    """Go on in the class that another notebook of this lab has joined; nothing where there is none."""
    known = _read_seat(home)
    if known is not None and _current is None and _shell() is not None:
        _begin(home, *known)


async def leave(home: Path) -> None:
    """The board forgets this learner, and hears nothing any more."""
    stop()
    if known := _read_seat(home):
        invitation, seat = known
        with suppress(httpx.HTTPError):
            async with speak_to(invitation) as http:
                await http.post("/leave", headers={"Authorization": f"Bearer {seat.seat}"})
    (home / FILE).unlink(missing_ok=True)


def stop() -> None:
    """This kernel tells the board nothing any more."""
    global _current
    if _current is not None:
        _current.stop()
        _current = None


def _begin(home: Path, invitation: Invitation, seat: Seat) -> None:
    global _current
    stop()
    _current = Membership(invitation, seat, lambda new: _keep(home, invitation, new))
    _current.start()
    _hook()


def _keep(home: Path, invitation: Invitation, seat: Seat | None) -> None:
    if seat is None:
        (home / FILE).unlink(missing_ok=True)
        return
    until = time.time() + CLASS_SECONDS
    data = {"invitation": str(invitation), "name": seat.name, "seat": seat.seat, "until": until}
    with suppress(OSError):  # a folder that nobody may write to: this kernel is in the class, the next one is not
        write_secret(home / FILE, json.dumps(data))


def _read_seat(home: Path) -> tuple[Invitation, Seat] | None:
    with suppress(OSError, ValueError, TypeError, KeyError, LabError):
        data = json.loads((home / FILE).read_text())
        if data["until"] > time.time():
            return read_invitation(data["invitation"]), Seat(name=data["name"], seat=data["seat"])
    return None


def _shell() -> Any:
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return None
    return get_ipython()


def _hook() -> None:
    shell = _shell()
    if shell is None or id(shell) in _hooked:
        return
    _hooked.add(id(shell))
    shell.events.register("pre_run_cell", _before_cell)
    shell.events.register("post_run_cell", _after_cell)


def _before_cell(_: Any) -> None:
    if _current is not None:
        _current.cell_begins()


def _after_cell(result: Any) -> None:
    if _current is None:
        return
    _current.cell_ends(isinstance(result.error_in_exec, WaitExpired))
    if line := _current.take_line():
        from IPython.display import display

        style = "font-size:115%;padding:.5em 1em;border-left:.5em solid #0072b2"
        display({"text/plain": line, "text/html": f'<p style="{style}">{escape(line)}</p>'}, raw=True)  # type: ignore[no-untyped-call]
