"""Twenty clients start orders and read them while servers are killed or hang: answers are right, or say why not."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from support.shop import until

from orderkit.audit.audit import audit
from orderkit.core.orders import ENDS
from orderkit.stack.lifecycle import down, up
from orderkit.stack.stack import Stack
from orderkit.store.database import open_pool
from orderkit.temporal.client import connect_temporal

CLIENTS = 20
READS_EACH = 5
READ_EVERY_SECONDS = 0.25
AWAY_SECONDS = 2.0
LIMIT_SECONDS = 2.0
PATIENCE_SECONDS = 60
ORDER: dict[str, Any] = {"review": "none", "policy": "spec", "deadline": 60}
WITNESS: dict[str, Any] = {"review": "human", "deadline": 600}
MOVE = {
    "new_address": {"street": "2 Side Street", "city": "Springfield", "state": "IL", "zip": "62702"},
    "updated_by": "ada",
}
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
    machine_seconds: float = 0  # the slowest answer that waits for no server: what a busy machine adds
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

    async def healthy(self) -> bool:
        began = time.monotonic()
        answer = await self.http.get("/health")
        self.machine_seconds = max(self.machine_seconds, time.monotonic() - began)
        return answer.status_code == 200

    async def watch_machine(self) -> None:
        while True:
            await self.healthy()
            await asyncio.sleep(0.1)

    async def is_state(self, order_id: str, state: str) -> bool:
        return bool((await self.http.get(f"/orders/{order_id}/status")).json().get("state") == state)

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

    async def look_at_witness(self, fine: set[int]) -> None:
        """An order that waits for a person: what is told of it stays true, whoever is away."""
        answer = await self.ask("GET", "/orders/witness/status", None, fine)
        if answer.is_success and answer.json()["state"] != "in_review":
            self.wrong.append(f"the witness is in review, not {answer.text}")

    async def start(self, order_id: str) -> None:
        """Until it is accepted."""
        fine = {201}
        while order_id not in self.started:
            answer = await self.ask("POST", f"/orders/{order_id}/start", ORDER, fine)
            if answer.is_success:
                self.started.add(order_id)
            fine = {200, 201}  # whether the one before arrived, nobody knows; but never another order's conflict
            await asyncio.sleep(READ_EVERY_SECONDS)


@asynccontextmanager
async def calling(stack: Stack) -> AsyncIterator[Clients]:
    """Clients of the API; what they heard was right, and soon."""
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(base_url=stack.api_url, trust_env=False, timeout=15, limits=limits) as http:
        clients = Clients(http)
        await until(clients.healthy, "all is well", PATIENCE_SECONDS)
        watch = asyncio.create_task(clients.watch_machine())
        try:
            yield clients
        finally:
            await cancelled([watch])
    assert clients.wrong == []
    assert clients.slowest_seconds <= LIMIT_SECONDS + 2 * clients.machine_seconds, clients.statuses


FELT_AS = {"postgres": "postgresql", "temporal": "temporal"}  # a customer meets no worker's absence


@pytest.mark.timeout(300)
async def test_answers_stay_right_while_each_server_is_killed(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    async with calling(stack) as clients, AsyncExitStack() as cleanup:
        await clients.http.post("/orders/witness/start", json=WITNESS)
        await until(lambda: clients.is_state("witness", "in_review"), "the witness is in review", PATIENCE_SECONDS)
        customers = [asyncio.create_task(clients.customer(number)) for number in range(CLIENTS)]
        cleanup.push_async_callback(cancelled, customers)

        async def unhealthy() -> bool:
            return not await clients.healthy()

        for victim in ("postgres", "temporal", "worker-0"):
            before = len(clients.started)

            async def more(before: int = before) -> bool:
                return len(clients.started) >= before + CLIENTS

            await until(more, "orders are started again", PATIENCE_SECONDS)
            await asyncio.to_thread(stack.kill, victim, restart=False)
            await until(unhealthy, f"{victim} is missed")
            await clients.look_at_witness({503} if victim == "postgres" else {200})
            await asyncio.sleep(AWAY_SECONDS)  # that long an outage is what is tested
            if dependency := FELT_AS.get(victim):

                async def felt(dependency: str = dependency) -> bool:
                    return dependency in clients.away

                await until(felt, f"a customer misses {victim}", PATIENCE_SECONDS)
            await asyncio.to_thread(stack.start_program, victim)
            await until(clients.healthy, f"all is well after {victim} was killed", PATIENCE_SECONDS)
            await clients.look_at_witness({200})
        clients.over.set()
        async with asyncio.timeout(90):
            await asyncio.gather(*customers)
        approval = {"approve": True, "reviewer": "grace"}
        assert (await clients.http.post("/orders/witness/updates/review", json=approval)).status_code == 200
        await until(lambda: clients.is_state("witness", "shipped"), "the witness is shipped", PATIENCE_SECONDS)
        listed = (await clients.http.get("/orders", params={"limit": 500})).json()["orders"]
    assert {"postgresql", "temporal"} <= clients.away, clients.statuses  # it was felt
    assert {order["order_id"] for order in listed} == clients.started | {"witness"}
    assert {order["state"] for order in listed} <= set(ENDS)
    async with open_pool(stack.database_url, 4) as pool:
        assert (await audit(pool, await connect_temporal(stack.temporal_settings()))).findings == []


@pytest.mark.parametrize(("victim", "dependency"), [("postgres", "postgresql"), ("temporal", "temporal")])
async def test_a_server_that_hangs_keeps_nobody_waiting(stack: Stack, victim: str, dependency: str) -> None:
    """A paused server refuses nothing, so that only our own limits end the wait; connections in use hang, too."""
    async with calling(stack) as clients, AsyncExitStack() as cleanup:
        still, done = f"open-{victim}", f"done-{victim}"
        await clients.http.post(f"/orders/{still}/start", json=WITNESS)
        await clients.http.post(f"/orders/{done}/start", json=ORDER)
        await until(lambda: clients.is_state(still, "in_review"), f"{still} is in review", PATIENCE_SECONDS)
        await until(lambda: clients.is_state(done, "shipped"), f"{done} is shipped", PATIENCE_SECONDS)
        stack.pause(victim)
        cleanup.callback(stack.resume, victim)
        for number in range(3):
            calls: list[tuple[str, str, dict[str, Any] | None, set[int]]] = [
                ("GET", "/orders", None, {200}),
                ("GET", f"/orders/{still}/status", None, {200}),
                ("GET", f"/orders/unknown-{victim}/status", None, set()),
                ("GET", f"/orders/{still}/history", None, {200}),
                ("POST", f"/orders/{still}/start", WITNESS, {200}),
                ("POST", f"/orders/{victim}-{number}/start", ORDER, set()),
                ("POST", f"/orders/{still}/signals/update-address", MOVE, {202}),
                ("POST", f"/orders/{done}/signals/update-address", MOVE, {409}),
                ("POST", f"/orders/unknown-{victim}/signals/update-address", MOVE, set()),
            ]
            await asyncio.gather(*(clients.ask(*call) for call in calls * (1 + number)))
        stack.resume(victim)
        await until(clients.healthy, f"all is well after {victim} hung", PATIENCE_SECONDS)
        await clients.ask("GET", f"/orders/{still}/status", None, {200})
    assert clients.away == {dependency}


async def cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
