"""Two workers and two API processes, killed in turn under load: nothing is lost, a living API refuses nothing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from orderkit.audit.audit import audit
from orderkit.client import OrderkitClient
from orderkit.contract import FaultsBody, StartOrder
from orderkit.core.orders import Review
from orderkit.core.steps import Step
from orderkit.errors import DependencyUnavailable
from orderkit.stack.environment import inherited_environment
from orderkit.stack.lifecycle import down, up
from orderkit.stack.stack import Stack
from orderkit.stack.tcp_ports import LOOPBACK, another
from orderkit.store.database import open_pool
from orderkit.store.measurements import order_ends
from orderkit.temporal.client import connect_temporal

ORDERS = 24
# About two seconds of an order, so that each kill hits some.
BODY = StartOrder(review=Review.NONE, deadline=120, faults=FaultsBody(script={Step.CHARGE: ["error", "ok"]}))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("scale") / ".orderkit"
    try:
        yield up(home, workers=2, preferred={})
    finally:
        down(home)


class SecondApi:
    """`orderkit api --port`, as a person would start it beside the lab's."""

    def __init__(self, stack: Stack, port: int, log: Path) -> None:
        self.url = f"http://{LOOPBACK}:{port}"
        self._stack, self._port, self._log = stack, port, log
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        environment = inherited_environment() | {"ORDERKIT_HOME": str(self._stack.home)}
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "orderkit", "api", "--port", str(self._port)),
                env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        async with OrderkitClient(self.url) as client:
            for _ in range(600):
                try:
                    await client.list(limit=1)
                except DependencyUnavailable:
                    await asyncio.sleep(0.1)
                else:
                    return
        raise AssertionError("the second API does not answer")

    async def kill(self) -> None:
        assert self._process
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


async def test_two_workers_and_two_apis_are_killed_in_turn(stack: Stack, tmp_path: Path) -> None:
    second = SecondApi(stack, another({}), tmp_path / "api.log")
    await second.start()
    dead: set[str] = set()
    refused: list[str] = []  # by an API that nobody had killed
    accepted: list[str] = []
    lives = [stack.api_url, second.url]

    async def customer(number: int) -> None:
        """Asks one API, and where that was killed the other one, with the same request."""
        order_id = f"scale-{number:02}"
        await asyncio.sleep(number * 0.25)
        for url in (lives[number % 2], lives[(number + 1) % 2]):
            async with OrderkitClient(url) as client:
                try:
                    await client.start(order_id, BODY)
                    await client.status(order_id)
                except DependencyUnavailable as error:
                    if url not in dead:
                        refused.append(f"{order_id}: {error}")
                else:
                    accepted.append(order_id)
                    return

    async def killer() -> None:
        await asyncio.sleep(1)
        pid = await asyncio.to_thread(stack.kill, "worker-0")
        await asyncio.sleep(1)
        dead.add(second.url)
        await second.kill()
        await asyncio.sleep(1)
        await asyncio.to_thread(stack.kill, "worker-1")
        await second.start()
        dead.discard(second.url)
        dead.add(stack.api_url)
        await asyncio.to_thread(stack.kill, "api")
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE

    try:
        await asyncio.gather(killer(), *(customer(number) for number in range(ORDERS)))
        assert refused == []
        assert sorted(accepted) == [f"scale-{number:02}" for number in range(ORDERS)]
        async with open_pool(stack.database_url, 2) as pool:
            async with asyncio.timeout(120):
                while {end.state for end in await order_ends(pool, accepted)} != {"shipped"}:  # noqa: ASYNC110
                    await asyncio.sleep(0.3)
            report = await audit(pool, await connect_temporal(stack.temporal_settings()), accepted)
        assert (report.orders, report.findings) == (ORDERS, [])
    finally:
        await second.kill()
