"""A worker's process number that another program has got since is no worker."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from orderkit.stack.readiness import _runs

HERE = socket.gethostname()
BEGAN = datetime.fromtimestamp(psutil.Process().create_time(), UTC)


@pytest.mark.parametrize(
    ("identity", "polled", "runs"),
    [
        (f"{os.getpid()}@{HERE}", BEGAN + timedelta(seconds=5), True),
        (f"{os.getpid()}@{HERE}", BEGAN - timedelta(seconds=5), False),
        (f"4194304@{HERE}", BEGAN, False),
        ("12@another-machine", BEGAN, True),
        ("somebody's-worker", BEGAN, True),
    ],
    ids=["this process", "one before it with its number", "none", "on another machine", "with a name of its own"],
)
def test_a_poller_runs_if_its_process_is_the_one_that_polled(identity: str, polled: datetime, runs: bool) -> None:
    assert _runs(identity, polled) is runs
