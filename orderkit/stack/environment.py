"""The shell's environment for a lab's processes, without what names other servers or changes how they run."""

from __future__ import annotations

import os

# Temporal's own settings, libpq's (asyncpg and initdb read them too), a person's wish for other servers, the build of
# one worker (new orders would wait for the others), and one that lets a library's DeprecationWarning end a server.
_OF_THE_SHELL_ONLY = (
    "TEMPORAL_",
    "PG",
    "ORDERKIT_DATABASE_",
    "ORDERKIT_API_HOST",
    "ORDERKIT_API_PORT",
    "ORDERKIT_BUILD_ID",
    "ORDERKIT_DEPLOYMENT",
    "PYTHONWARNINGS",
)


def inherited_environment() -> dict[str, str]:
    """This process's environment, without what leads to other servers or changes how a lab's process runs."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OF_THE_SHELL_ONLY)}
