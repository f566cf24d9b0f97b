"""Which stack a command means: the environment's, else the lab of this folder, else what listens on the usual ports."""

from __future__ import annotations

import os
from pathlib import Path

from orderkit.errors import LabError
from orderkit.settings import Settings, find_home

_ELSEWHERE = ("ORDERKIT_DATABASE_URL", "ORDERKIT_API_HOST", "ORDERKIT_API_PORT")


def settings_here() -> Settings:
    """Settings for a command, and an environment that leads it to the same stack; raises LabError when that is down.

    A lab that is down is never replaced by somebody else's stack on the usual ports.
    """
    if not any(os.environ.get(name) for name in _ELSEWHERE):
        _lead_to_lab(find_home())
    return Settings()


def _lead_to_lab(home: Path) -> None:
    from orderkit.lab.stack import load

    stack = load(home) if home.is_dir() else None
    if stack is None:
        return
    if not stack.alive():
        raise LabError(f"the lab in {home} is not running; start it: orderkit up")
    # All of Temporal's settings, not only the address: the learner's own may lead to a cloud, with keys for it.
    for name in [name for name in os.environ if name.startswith("TEMPORAL_")]:
        del os.environ[name]
    os.environ.update(stack.environment())


def api_url(settings: Settings) -> str:
    """Where the REST API answers."""
    return f"http://{settings.api_host}:{settings.api_port}"
