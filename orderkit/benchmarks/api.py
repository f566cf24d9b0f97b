"""What the API adds: latencies of its calls and of a barer way to the same, turn by turn in one run.

Only ratios carry over to another machine. The HTTP side is sockets and bytes: a full client would cost more than it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from statistics import quantiles

from temporalio.client import Client, WorkflowFailureError

from orderkit.benchmarks.baseline import running_baseline
from orderkit.contract import StartOrder
from orderkit.core.messages import UpdateAddress
from orderkit.core.orders import DEFAULT_ADDRESS, OrderId, OrderState, order_workflow_id
from orderkit.errors import DependencyUnavailable, OrderkitError
from orderkit.settings import Settings
from orderkit.store.database import Pool
from orderkit.store.events import OrderFilter, Reader
from orderkit.store.status import order_identity
from orderkit.temporal import orders as temporal

IN_A_TURN = 4  # calls of each caller before the other side's turn: both sides meet the same weather
REST_SECONDS = 0.1
ORDER = StartOrder.model_validate({"review": "human", "deadline": 600})
MOVE = {
    "new_address": {"street": "2 Side Street", "city": "Springfield", "state": "IL", "zip": "62702"},
    "updated_by": "bench",
}
Call = Callable[[int], Awaitable[object]]  # which connection it may use


@dataclass(frozen=True)
class CallLatency:
    """Of one call, in milliseconds, and of what it is compared with; None where there is nothing barer."""

    call: str
    connections: int
    api_p50: float
    api_p99: float
    beside: str = ""
    bare_p50: float | None = None
    bare_p99: float | None = None


class Connection:
    """One keep-alive connection to the API."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, key: str) -> None:
        self._reader, self._writer = reader, writer
        self._headers = f"Host: {host}\r\nContent-Type: application/json\r\n" + (f"X-API-Key: {key}\r\n" if key else "")

    async def ask(self, method: str, path: str, body: bytes = b"") -> None:
        """Raises OrderkitError for an answer that is none of 2xx and, as of health, 503."""
        head = f"{method} {path} HTTP/1.1\r\n{self._headers}Content-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        try:
            answer = (await self._reader.readuntil(b"\r\n\r\n")).lower()
            length = int(answer.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            told = await self._reader.readexactly(length)
        except EOFError:
            raise DependencyUnavailable("api", f"{method} {path} was not answered") from None
        if answer[9:10] != b"2" and path != "/health":
            raise OrderkitError(f"{method} {path} was answered with {answer[9:12].decode()}: {told.decode()}")


@asynccontextmanager
async def connections(host: str, port: int, key: str, count: int) -> AsyncIterator[list[Connection]]:
    """That many to one server."""
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(count):
            reader, writer = await asyncio.open_connection(host, port)
            stack.callback(writer.close)
            made.append(Connection(reader, writer, f"{host}:{port}", key))
        yield made


async def measure(
    pool: Pool, client: Client, settings: Settings, calls: int, at_once: int, name: str
) -> AsyncIterator[CallLatency]:
    """Status, signal, health and start, `calls` times each by `at_once` callers; fewer starts: they make work.

    Starts come last, since a server closes connections that are idle as long as they take.
    """
    started: list[OrderId] = []

    def new_id() -> OrderId:
        started.append(OrderId(f"{name}-{at_once}-{len(started)}"))
        return started[-1]

    async def settled() -> None:
        """Wait until the work of earlier starts is done; otherwise it would slow down the next measurement."""
        await _in_review(pool, started[-at_once:])
        await asyncio.sleep(REST_SECONDS)

    key = settings.api_key.get_secret_value() if settings.api_key else ""
    body, move = ORDER.model_dump_json().encode(), json.dumps(MOVE).encode()
    message = UpdateAddress(DEFAULT_ADDRESS, "bench")
    async with (
        running_baseline(settings) as (baseline_host, baseline_port),
        connections(settings.api_host, settings.api_port, key, at_once) as ours,
        connections(baseline_host, baseline_port, "", at_once) as baselines,
    ):
        first = new_id()
        await temporal.start(client, ORDER.to_order(first))
        await settled()
        status_path, move_path = f"/orders/{first}/status", f"/orders/{first}/signals/update-address"
        sides: dict[str, tuple[Call, str, Call | None]] = {
            "status": (
                lambda number: ours[number].ask("GET", status_path),
                "bare FastAPI",
                lambda number: baselines[number].ask("GET", status_path),
            ),
            "signal": (
                lambda number: ours[number].ask("POST", move_path, move),
                "Temporal client",
                lambda _: temporal.signal(client, first, "update_address", message),
            ),
            "health": (lambda number: ours[number].ask("GET", "/health"), "", None),
            "start": (
                lambda number: ours[number].ask("POST", f"/orders/{new_id()}/start", body),
                "Temporal client",
                lambda _: temporal.start(client, ORDER.to_order(new_id())),
            ),
        }
        for call, (api, beside, bare) in sides.items():
            if call == "start":
                took = await _in_turn([api, bare], at_once, max(IN_A_TURN, calls // (8 * at_once)), 1, settled)
            else:
                turns = max(1, calls // (IN_A_TURN * at_once))
                took = await _in_turn([api, bare], at_once, turns, IN_A_TURN)
            bare_p50, bare_p99 = _p50_p99(took[1]) if bare else (None, None)
            yield CallLatency(call, at_once, *_p50_p99(took[0]), beside, bare_p50, bare_p99)


async def _in_turn(
    sides: list[Call | None],
    at_once: int,
    turns: int,
    each: int,
    after: Callable[[], Awaitable[None]] | None = None,
) -> list[list[float]]:
    """Latencies of each side, in alternating order. The first turn only warms caches and prepared statements."""
    took: list[list[float]] = [[] for _ in sides]
    for turn in range(turns + 1):
        for number in range(len(sides))[:: 1 if turn % 2 else -1]:
            if (side := sides[number]) is not None:
                heard = await _time(side, at_once, each)
                took[number] += heard if turn else []
                if after:
                    await after()
    return took


async def _time(call: Call, at_once: int, each: int) -> list[float]:
    took: list[float] = []

    async def caller(number: int) -> None:
        for _ in range(each):
            began = time.perf_counter()
            await call(number)
            took.append(1_000 * (time.perf_counter() - began))

    await asyncio.gather(*(caller(number) for number in range(at_once)))
    return took


def _p50_p99(took: list[float]) -> tuple[float, float]:
    cuts = quantiles(took, n=100, method="inclusive")
    return cuts[49], cuts[98]


async def _in_review(pool: Pool, orders: list[OrderId], within_seconds: float = 60) -> None:
    until = time.monotonic() + within_seconds
    for order_id in orders:
        while (found := await order_identity(pool, order_id)) is None or found.state is not OrderState.IN_REVIEW:
            if time.monotonic() > until:
                raise OrderkitError(f"order {order_id} did not get as far as its review in {within_seconds:g} s")
            await asyncio.sleep(0.02)


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
