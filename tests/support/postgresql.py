"""The newest PostgreSQL, which a lab has, and the oldest one that is there to test with."""

from __future__ import annotations

from pathlib import Path

import pytest

from orderkit.stack import postgres
from orderkit.stack.secrets import make_secrets

NEWEST = postgres.MAJOR_VERSION
OLDEST = 15 if Path("/usr/lib/postgresql/15/bin/initdb").is_file() else 16  # Debian 12's, else the wheel's second one

# For tests on the fixture `servers`. Its parameter None means the servers that all other tests of the session use.
_newest, _oldest = pytest.param(None, id=f"postgresql{NEWEST}"), pytest.param(OLDEST, id=f"postgresql{OLDEST}")
on_newest_and_oldest = pytest.mark.parametrize("servers", [_newest, _oldest], indirect=True, scope="session")
on_oldest = pytest.mark.parametrize("servers", [_oldest], indirect=True, scope="session")


def make_home(home: Path) -> str | None:
    """A lab's folder before it has data; returns the account that must own them, None for our own."""
    home.mkdir(mode=0o700)
    postgres.permit(home)
    return postgres.account(home)


def make_data(home: Path, version: int) -> None:
    """A lab's folder with the data of this PostgreSQL, as `up` would make it with the newest."""
    make_home(home)
    postgres.initialise(home, make_secrets(home).postgres, version)
