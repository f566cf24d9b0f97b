"""Which servers a command or a notebook means."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orderkit.errors import LabError
from orderkit.settings import Settings, find_home
from orderkit.stack.stack import Stack, find_stack

if TYPE_CHECKING:
    from orderkit.temporal.client import TemporalSettings

_DATABASE = "ORDERKIT_DATABASE_URL"  # in the environment, a person's wish for servers that are not a lab's
_API = ("ORDERKIT_API_HOST", "ORDERKIT_API_PORT")  # enough for a command that asks the API alone


@dataclass(frozen=True)
class Target:
    """Servers, and how to reach them. `stack` is None where they are elsewhere."""

    settings: Settings
    temporal: TemporalSettings
    stack: Stack | None = None

    @classmethod
    def of_stack(cls, stack: Stack) -> Target:
        """A lab's own servers, whatever the environment says."""
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


def is_elsewhere() -> bool:
    """Whether the environment names servers that are not a lab's; no lab puts that name there for others to find."""
    return bool(os.environ.get(_DATABASE))


def find_target(home: Path | None = None) -> Target:
    """What the environment names, else the lab of this folder, else what listens on the usual ports.

    Raises LabError for a lab that is down: nobody else's servers on the usual ports are taken for it.
    """
    home = (home or find_home()).resolve()
    stack = find_stack(home) if home.is_dir() else None
    if stack is None or any(os.environ.get(name) for name in (_DATABASE, *_API)):
        return Target.from_environment()
    if not stack.alive():
        raise LabError(f"the lab in {home} is not running; start it: orderkit up")
    return Target.of_stack(stack)
