"""What the API adds to the bare clients of PostgreSQL and Temporal: latencies of both, in turn, in one run.

Only ratios carry over to another machine. The HTTP side is sockets and bytes: a full client would cost more than it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from statistics import quantiles

from temporalio.client import Client, WorkflowFailureError

from orderkit.api import temporal
from orderkit.api.models import StartOrder
from orderkit.core.messages import UpdateAddress
from orderkit.core.orders import DEFAULT_ADDRESS, OrderId, OrderState, order_workflow_id
from orderkit.errors import OrderkitError
from orderkit.store.database import Pool
from orderkit.store.events import OrderFilter, Reader
from orderkit.store.status import order_status

ROUNDS = 4  # of each side in turn, so that both meet the same weather
ORDER = StartOrder.model_validate({"review": "human", "deadline": 120})
MOVE = {
    "new_address": {"street": "2 Side Street", "city": "Springfield", "state": "IL", "zip": "62702"},
    "updated_by": "bench",
}
Call = Callable[[int], Awaitable[object]]  # which connection it may use


@dataclass(frozen=True)
class Latency:
    """Of one call, in milliseconds; `bare` is None where nothing is asked behind the API."""

    call: str
    connections: int
    api_p50: float
    api_p99: float
    bare_p50: float | None
    bare_p99: float | None


class Connection:
    """One keep-alive connection to the API."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, key: str) -> None:
        self._reader, self._writer = reader, writer
        self._headers = f"Host: {host}\r\nContent-Type: application/json\r\n" + (f"X-API-Key: {key}\r\n" if key else "")

    async def ask(self, method: str, path: str, body: bytes = b"") -> None:
        """Raises OrderkitError for an answer that is none of 2xx and, as of health, 503."""
        head = f"{method} {path} HTTP/1.1\r\n{self._headers}Content-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        told = await self._reader.readexactly(int(answer.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        if answer[9:10] != b"2" and path != "/health":
            raise OrderkitError(f"{method} {path} was answered with {answer[9:12].decode()}: {told.decode()}")


@asynccontextmanager
async def connections(host: str, port: int, key: str, count: int) -> AsyncIterator[list[Connection]]:
    """That many to the API."""
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(count):
            reader, writer = await asyncio.open_connection(host, port)
            stack.callback(writer.close)
            made.append(Connection(reader, writer, f"{host}:{port}", key))
        yield made


async def measure(
    pool: Pool, client: Client, host: str, port: int, key: str, calls: int, at_once: int, name: str
) -> AsyncIterator[Latency]:
    """Start, status, signal and health, `calls` times each by `at_once` callers; fewer starts: they make work."""
    numbers = itertools.count()

    def new_id() -> OrderId:
        return OrderId(f"{name}-{at_once}-{next(numbers)}")

    body, move = ORDER.model_dump_json().encode(), json.dumps(MOVE).encode()
    message = UpdateAddress(DEFAULT_ADDRESS, "bench")
    target = OrderId(f"{name}-{at_once}-0")
    async with connections(host, port, key, at_once) as open_connections:

        async def start(number: int) -> None:
            await open_connections[number].ask("POST", f"/orders/{new_id()}/start", body)

        async def status(number: int) -> None:
            await open_connections[number].ask("GET", f"/orders/{target}/status")

        async def signal(number: int) -> None:
            await open_connections[number].ask("POST", f"/orders/{target}/signals/update-address", move)

        async def health(number: int) -> None:
            await open_connections[number].ask("GET", "/health")

        async def bare_start(_: int) -> None:
            await temporal.start(client, ORDER.to_order(new_id()))

        async def bare_status(_: int) -> None:
            await order_status(pool, target)

        async def bare_signal(_: int) -> None:
            await temporal.signal(client, target, "update_address", message)

        yield await _compare("start", start, bare_start, max(at_once * ROUNDS, calls // 4), at_once)
        await _settled(pool, f"{name}-{at_once}-", next(numbers))
        yield await _compare("status", status, bare_status, calls, at_once)
        yield await _compare("signal", signal, bare_signal, calls, at_once)
        yield await _compare("health", health, None, calls, at_once)


async def _settled(pool: Pool, prefix: str, orders: int, within_seconds: float = 60) -> None:
    """Wait until all the orders wait for their review."""
    for _ in range(int(within_seconds / 0.2)):
        rows = await Reader(pool).orders(OrderFilter(state=OrderState.IN_REVIEW, prefix=prefix, most=10_000))
        if len(rows) >= orders:
            return
        await asyncio.sleep(0.2)
    raise OrderkitError(f"only {len(rows)} of {orders} orders got as far as their review in {within_seconds:g} s")


async def cancel_all(pool: Pool, client: Client, prefix: str) -> None:
    """End the orders that a bench has started, a few at a time: hundreds of refunds at once would be a load test."""
    gate = asyncio.Semaphore(8)

    async def cancel(order_id: str) -> None:
        handle = client.get_workflow_handle(order_workflow_id(order_id))
        async with gate:
            await handle.cancel()
            with suppress(WorkflowFailureError):
                await handle.result()

    rows = await Reader(pool).orders(OrderFilter(prefix=prefix, most=10_000))
    await asyncio.gather(*(cancel(row["id"]) for row in rows))


async def _compare(name: str, api: Call, bare: Call | None, calls: int, at_once: int) -> Latency:
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(ROUNDS + 1):
        # The first round is for caches, connections and prepared statements.
        took = [await _time(call, max(1, calls // ROUNDS), at_once) for call in (api, bare) if call]
        if number:
            ours += took[0]
            theirs += took[-1]
    cuts = [quantiles(figures, n=100, method="inclusive") for figures in (ours, theirs)]
    return Latency(
        call=name,
        connections=at_once,
        api_p50=cuts[0][49],
        api_p99=cuts[0][98],
        bare_p50=cuts[1][49] if bare else None,
        bare_p99=cuts[1][98] if bare else None,
    )


async def _time(call: Call, calls: int, at_once: int) -> list[float]:
    took: list[float] = []

    async def caller(number: int) -> None:
        for _ in range(max(1, calls // at_once)):
            began = time.perf_counter()
            await call(number)
            took.append(1_000 * (time.perf_counter() - began))

    await asyncio.gather(*(caller(number) for number in range(at_once)))
    return took
