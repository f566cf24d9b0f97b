"""Twenty clients start orders and read them while servers are killed in turn: answers are right, or say why not."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from harness import until

from orderkit.audit.audit import audit
from orderkit.connect import connect_temporal
from orderkit.core.orders import ENDS
from orderkit.lab.lifecycle import down, up
from orderkit.lab.stack import Stack
from orderkit.store.database import open_pool

CLIENTS = 20
READS_EACH = 5
READ_EVERY_SECONDS = 0.15
AWAY_SECONDS = 2.0
LIMIT_SECONDS = 2.0
ORDER: dict[str, Any] = {"review": "none", "policy": "budget", "deadline": 60}
DEPENDENCIES = {"postgresql", "temporal", "worker"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("outages") / ".orderkit"
    try:
        yield up(home, preferred={})
    finally:
        down(home)


@dataclass
class Clients:
    """What they asked and heard."""

    http: httpx.AsyncClient
    over: asyncio.Event = field(default_factory=asyncio.Event)
    wrong: list[str] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    slowest_seconds: float = 0
    started: set[str] = field(default_factory=set)

    async def ask(self, method: str, path: str, body: dict[str, Any] | None, fine: set[int]) -> httpx.Response:
        began = time.monotonic()
        answer = await self.http.request(method, path, json=body)
        took = time.monotonic() - began
        self.slowest_seconds = max(self.slowest_seconds, took)
        self.statuses[answer.status_code] = self.statuses.get(answer.status_code, 0) + 1
        if answer.status_code == 503:
            told = answer.json()
            self.away.add(told["dependency"])
            if told["dependency"] not in DEPENDENCIES or not told["detail"]:
                self.wrong.append(f"{method} {path}: 503 without a reason: {answer.text}")
        elif answer.status_code not in fine:
            self.wrong.append(f"{method} {path}: {answer.status_code}, {answer.text}")
        return answer

    async def customer(self, number: int) -> None:
        """Starts one order after the other, and reads each until it has ended."""
        for order_number in itertools.count():
            if self.over.is_set():
                return
            order_id = f"c{number}-{order_number}"
            await self.start(order_id)
            await self.ask("POST", f"/orders/{order_id}/start", ORDER | {"deadline": 59}, {409})
            await self.ask("POST", f"/orders/{order_id}/start", ORDER, {200})
            ended, reads = "", 0
            while not ended or reads < READS_EACH:
                answer = await self.ask("GET", f"/orders/{order_id}/status", None, {200})  # never 404: it was accepted
                reads += 1
                told = answer.json().get("outcome") if answer.status_code == 200 else ended
                if ended and told != ended:
                    self.wrong.append(f"{order_id} was {ended}, and then {told}")
                ended = told or ""
                await asyncio.sleep(READ_EVERY_SECONDS)

    async def start(self, order_id: str) -> None:
        """Until it is accepted."""
        fine = {201}
        while order_id not in self.started:
            answer = await self.ask("POST", f"/orders/{order_id}/start", ORDER, fine)
            if answer.is_success:
                self.started.add(order_id)
            fine = {200, 201}  # whether the one before arrived, nobody knows; but never another order's conflict
            await asyncio.sleep(READ_EVERY_SECONDS)


@pytest.mark.timeout(180)
async def test_answers_stay_right_while_each_server_is_killed(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = httpx.Limits(max_connections=2 * CLIENTS)
    async with httpx.AsyncClient(base_url=stack.api_url, trust_env=False, timeout=10, limits=limits) as http:
        clients = Clients(http)
        customers = [asyncio.create_task(clients.customer(number)) for number in range(CLIENTS)]

        async def healthy() -> bool:
            return (await http.get("/health")).status_code == 200

        async def unhealthy() -> bool:
            return not await healthy()

        for victim in ("postgres", "temporal", "worker-0"):
            before = len(clients.started)

            async def more(before: int = before) -> bool:
                return len(clients.started) >= before + CLIENTS

            await until(more, "orders are started again")
            await asyncio.to_thread(stack.kill, victim, restart=False)
            await until(unhealthy, f"{victim} is missed")
            await asyncio.sleep(AWAY_SECONDS)  # that long an outage is what is tested
            await asyncio.to_thread(stack.start_program, victim)
            await until(healthy, f"all is well after {victim} was killed")
        clients.over.set()
        async with asyncio.timeout(90):
            await asyncio.gather(*customers)
        listed = (await http.get("/orders", params={"limit": 500})).json()["orders"]
    assert clients.wrong == []
    assert {"postgresql", "temporal"} <= clients.away, clients.statuses  # it was felt
    assert clients.slowest_seconds <= LIMIT_SECONDS, clients.statuses
    assert {order["order_id"] for order in listed} == clients.started
    assert {order["state"] for order in listed} <= set(ENDS)
    for name, value in stack.environment().items():
        monkeypatch.setenv(name, value)
    async with open_pool(stack.database_url, 4) as pool:
        assert (await audit(pool, await connect_temporal())).findings == []
