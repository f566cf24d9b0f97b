"""`orderkit load` on a real lab: whole, and interrupted."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Iterator

import pytest
from support.shop import until

from orderkit.client import OrderkitClient
from orderkit.stack.environment import inherited_environment
from orderkit.stack.lifecycle import down, up
from orderkit.stack.stack import Stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("load") / ".orderkit"
    try:
        yield up(home, preferred={})
    finally:
        down(home)


async def load(stack: Stack, *options: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orderkit", "load", "--json", *options),
        env=inherited_environment() | {"ORDERKIT_HOME": str(stack.home)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        # What a shell starts in the background ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


async def test_load_reports_times_ends_and_the_audit(stack: Stack) -> None:
    process = await load(stack, "--orders", "4", "--concurrency", "2", "--faults", "charge=error,ok")
    told = json.loads((await process.communicate())[0])
    assert process.returncode == 0
    assert (told["ends"], told["audited"], told["findings"], told["passed"]) == ({"shipped": 4}, 4, [], True)
    assert told["retries"] >= 4 and told["attempts"] >= 28
    assert 0 < told["percentiles"]["p50"] <= told["percentiles"]["p99"]


async def test_ctrl_c_says_what_was_done_and_audits_it(stack: Stack) -> None:
    process = await load(stack, "--orders", "500", "--concurrency", "2", "--prefix", "halt")

    async def some_have_ended() -> bool:
        async with OrderkitClient(stack.api_url) as client:
            return any(order.closed_at for order in (await client.list(prefix="halt")).orders)

    await until(some_have_ended, "an order of the load has ended", 40)
    process.send_signal(signal.SIGINT)
    told = json.loads((await process.communicate())[0])
    assert process.returncode == 130
    assert told["interrupted"] and 0 < told["started"] < 500
    assert (told["still_open"], told["findings"], told["audited"]) == (0, [], told["started"])
    async with OrderkitClient(stack.api_url) as client:
        assert (await client.list(prefix="halt")).total in (None, told["started"])
