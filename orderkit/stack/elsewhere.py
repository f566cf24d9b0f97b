"""Servers that are not the lab's: compose's, a cluster. Its worker and API run here, and use those."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from orderkit.settings import Settings
from orderkit.stack.tcp_ports import TITLES
from orderkit.store.urls import address_of, complete_url, shown

if TYPE_CHECKING:
    from orderkit.temporal.client import TemporalSettings

FOLDER = "elsewhere"  # inside the usual home: the lab with its own servers stays as it is
DATABASE = "ORDERKIT_DATABASE_URL"  # in the environment, a person's wish for servers that are not a lab's
_SECRETS = ("ORDERKIT_CODEC_KEY", "ORDERKIT_CODEC_KEY_FILE", "ORDERKIT_API_KEY")
_UI = "ORDERKIT_TEMPORAL_UI_URL"
_SERVICE_FILE = "PGSERVICEFILE"  # the one of libpq's variables that no URL can say
_TO_KILL = {"postgres": "docker compose kill postgresql", "temporal": "docker compose kill temporal"}
_TEMPORAL_PORT = 7233
_LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Elsewhere:
    """The variables with which a process finds servers that are not the lab's; they hold passwords."""

    variables: Mapping[str, str] = field(repr=False, hash=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Elsewhere | None:
        """What a person's environment names; None without ORDERKIT_DATABASE_URL. Paths become absolute."""
        if not environment.get(DATABASE):
            return None
        kept = {
            name: os.path.abspath(Path(value).expanduser()) if _is_path(name) else value
            for name, value in environment.items()
            if value and (name.startswith("TEMPORAL_") or name in (*_SECRETS, _UI, _SERVICE_FILE))
        }
        return cls({**kept, DATABASE: complete_url(environment[DATABASE], environment)})

    @property
    def database_url(self) -> str:
        """PostgreSQL, with its password and all that libpq's variables said."""
        return self.variables[DATABASE]

    @cached_property
    def temporal(self) -> TemporalSettings:
        """Temporal, by `TEMPORAL_*` and Temporal's own profiles."""
        from orderkit.temporal.client import TemporalSettings  # late: the SDK takes 0.3 s

        others = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
        return TemporalSettings.from_environment(self.settings(), others | dict(self.variables))

    def settings(self, **more: object) -> Settings:
        """The settings of a process that uses these servers; its own environment does not matter."""
        told = {name.removeprefix("ORDERKIT_").lower(): self.variables.get(name) for name in (*_SECRETS, DATABASE)}
        told["temporal_ui_url"] = self.variables.get(_UI, Settings.model_fields["temporal_ui_url"].default)
        return Settings(**{**told, **more})  # type: ignore[arg-type]

    def environment(self) -> dict[str, str]:
        """The variables for a process; what is not among them must not come from another shell."""
        return {**dict.fromkeys((*_SECRETS, _UI), ""), **self.variables}

    def places(self) -> dict[str, str]:
        """Where each server is, without a password."""
        return {"postgres": shown(self.database_url), "temporal": self.temporal.address}

    def states(self) -> dict[str, str]:
        """`running` where something listens, else `away`; takes a second at most for each that is away."""
        temporal = address_of(f"//{self.temporal.address}", _TEMPORAL_PORT)
        addresses = {"postgres": address_of(self.database_url), "temporal": temporal}
        return {name: "running" if _listens(*address) else "away" for name, address in addresses.items()}

    def spared(self, program: str) -> str | None:
        """Why a lab does not kill a program, None where it does."""
        if program not in _TO_KILL:
            return None
        return (
            f"{TITLES[program]} ({self.places()[program]}) is not this lab's, so it was not killed: "
            f"kill it where it runs, for example with {_TO_KILL[program]}"
        )


def _is_path(name: str) -> bool:
    return name.endswith(("_PATH", "_FILE", _SERVICE_FILE))


def _listens(host: str, port: int) -> bool:
    try:
        if host.startswith("/"):
            return Path(host, f".s.PGSQL.{port}").exists()
        with socket.create_connection((host, port), _LOOK_SECONDS):
            return True
    except OSError:
        return False
