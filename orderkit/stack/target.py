"""Finds the lab and the servers that a command or a notebook uses."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from orderkit.errors import LabError
from orderkit.settings import Settings, address_of_port, find_home
from orderkit.stack.elsewhere import DATABASE, FOLDER, Elsewhere
from orderkit.stack.processes import MARK
from orderkit.stack.stack import Stack, find_stack

if TYPE_CHECKING:
    from orderkit.temporal.client import TemporalSettings

_API = ("ORDERKIT_API_HOST", "ORDERKIT_API_PORT")  # enough for a command that asks the API alone


@dataclass(frozen=True)
class Target:
    """Servers, and how to reach them. `stack` is None if they belong to no lab of this machine."""

    settings: Settings
    temporal: TemporalSettings
    stack: Stack | None = None

    @classmethod
    def of_stack(cls, stack: Stack) -> Target:
        """The servers that a lab uses; the environment does not matter."""
        return cls(stack.settings(), stack.temporal_settings(), stack)

    @classmethod
    def from_environment(cls) -> Target:
        """What `ORDERKIT_*` and Temporal's own settings name; else the usual ports of this machine."""
        from orderkit.temporal.client import TemporalSettings  # late: the SDK takes 0.3 s

        settings = Settings()
        return cls(settings, TemporalSettings.from_environment(settings))

    @property
    def database_url(self) -> str:
        """PostgreSQL, with its password."""
        return self.settings.database_url.get_secret_value()

    @property
    def api_url(self) -> str:
        """Where the REST API answers."""
        return f"http://{self.settings.api_host}:{self.settings.api_port}"

    @property
    def docs_url(self) -> str:
        """The REST API's page, for the learner's browser."""
        public = self.settings.public_url
        return f"{address_of_port(public, self.settings.api_port) if public else self.api_url}/docs"


class Place(NamedTuple):
    """A lab's folder, and the servers elsewhere that the environment names for it."""

    home: Path
    elsewhere: Elsewhere | None


def find_place(home: Path | str | None = None) -> Place:
    """The place of the lab, in `home` or in the usual folder; the lab need not exist.

    Where ORDERKIT_DATABASE_URL names servers from outside, it is the folder's other lab, which uses those. The URL of a
    lab's own PostgreSQL is nobody's wish: that lab has put it there, for a process of its own.
    """
    home = (Path(home).expanduser() if home else find_home()).resolve()
    named = Elsewhere.from_environment()
    if named is None:
        return Place(home, None)
    stack = _find_whole_stack(home)
    if stack and stack.elsewhere is None and stack.database_url == os.environ[DATABASE]:
        return Place(home, None)
    return Place(home if stack and stack.elsewhere else home / FOLDER, named)


def find_target(home: Path | None = None) -> Target:
    """What the environment names, else the lab of this folder, else what listens on the usual ports.

    Servers elsewhere are reached through the lab that uses them, while it runs. Raises LabError for a lab that is down:
    nobody else's servers on the usual ports are taken for it.
    """
    if os.environ.get(MARK) or any(os.environ.get(name) for name in _API):
        return Target.from_environment()  # a lab's own process, or an API that a person named
    home, elsewhere = find_place(home)
    stack = find_stack(home) if home.is_dir() else None
    if elsewhere:
        uses_them = stack is not None and stack.elsewhere == elsewhere and stack.alive()
        return Target.of_stack(stack) if stack and uses_them else Target.from_environment()
    if stack is None or os.environ.get(DATABASE):
        return Target.from_environment()
    if not stack.alive():
        raise LabError(f"the lab in {home} is not running; start it: orderkit up")
    return Target.of_stack(stack)


def running_stack() -> Stack:
    """The lab of this folder; raises LabError unless it runs."""
    home = find_place().home
    stack = find_stack(home) if home.is_dir() else None
    if stack is None or not stack.alive():
        raise LabError(f"the lab in {home} is not running; start it: orderkit up")
    return stack


def _find_whole_stack(home: Path) -> Stack | None:
    """None also for a lab with damaged files: an error follows when it is used."""
    try:
        return find_stack(home) if home.is_dir() else None
    except LabError:
        return None
