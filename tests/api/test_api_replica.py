"""A real streaming replica behind ORDERKIT_DATABASE_READ_URL: young, held up, killed, without its primary, promoted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
from pydantic import SecretStr
from support.api import QUICK, Gate, caller, problem, running, state_is
from support.replica import StreamingReplica, streaming_replica
from support.shop import Shop, until
from temporalio.client import Client

from orderkit.api.replica import AGE, MAX_AGE_SECONDS
from orderkit.core.orders import OrderId
from orderkit.stack.stack import Stack


@pytest.fixture(scope="module")
def replica(servers: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StreamingReplica]:
    with streaming_replica(servers, tmp_path_factory.mktemp("replica") / ".orderkit") as replica:
        yield replica


@asynccontextmanager
async def api(
    servers: Stack, client: Client, replica: StreamingReplica
) -> AsyncIterator[tuple[httpx.AsyncClient, Gate]]:
    """The API with the replica; its way to the primary goes through a gate."""

    async def connect() -> Client:
        return client

    before, at, address = servers.database_url.rpartition("@")
    host, _, rest = address.partition(":")
    port, _, database = rest.partition("/")
    async with AsyncExitStack() as stack:
        gate = await stack.enter_async_context(Gate((host, int(port))))
        url = f"{before}{at}127.0.0.1:{gate.port}/{database}"
        read_url = SecretStr(replica.url)
        app = await stack.enter_async_context(running(url, connect, database_read_url=read_url, database_pool_size=4))
        yield await stack.enter_async_context(caller(app)), gate


async def age(http: httpx.AsyncClient, path: str) -> float | None:
    """How old the answer says that it is; None: it came from the primary."""
    answer = await http.get(path)
    assert answer.status_code == 200, answer.text
    return float(answer.headers[AGE]) if AGE in answer.headers else None


async def test_reads_come_from_a_replica_that_is_young_and_from_the_primary_otherwise(
    servers: Stack, client: Client, shop: Shop, replica: StreamingReplica, order_id: OrderId
) -> None:
    status = f"/orders/{order_id}/status"
    async with api(servers, client, replica) as (http, gate):

        async def from_the_replica() -> bool:
            return await age(http, status) is not None

        async def from_the_primary() -> bool:
            return await age(http, status) is None

        async def too_old_and_told() -> bool:
            return (await age(http, status) or 0.0) > MAX_AGE_SECONDS

        # It reads its own writes, and later from the replica, which says how old it is.
        assert (await http.post(f"/orders/{order_id}/start", json=QUICK)).status_code == 201
        assert await age(http, status) is None
        await state_is(http, order_id, "shipped")
        await until(from_the_replica, "the replica answers")
        for path in (status, f"/orders/{order_id}/events", f"/orders/{order_id}/attempts", "/orders?limit=5"):
            told = await age(http, path)
            assert told is not None and told <= MAX_AGE_SECONDS, path

        # Held up: what happens now is not in it, so the primary is asked as soon as it is too old, and says the truth.
        await replica.say("SELECT pg_wal_replay_pause()")
        later = OrderId(f"{order_id}-later")
        assert (await http.post(f"/orders/{later}/start", json=QUICK)).status_code == 201
        await state_is(http, later, "shipped")
        await until(from_the_primary, "the replica is too old")
        assert await age(http, f"/orders/{later}/events") is None

        # The primary is away as well: the replica is all there is, and its age is told.
        await gate.shut()
        await until(too_old_and_told, "the old replica answers, since nobody else does")
        problem(
            await http.get(f"/orders/{later}/status"), 503, "dependency-unavailable"
        )  # the replica has not heard of it
        await gate.open()
        await until(from_the_primary, "the primary is back")
        await replica.say("SELECT pg_wal_replay_resume()")
        await until(from_the_replica, "the replica has caught up")
        assert (await http.get(f"/orders/{later}/status")).json()["state"] == "shipped"

        # Killed: no read fails.
        replica.kill()
        assert await age(http, status) is None
        replica.start()
        await until(from_the_replica, "the replica is back")

        # Promoted: it goes ways of its own, so nothing is read from it.
        await replica.say("SELECT pg_promote()")
        await until(from_the_primary, "the promoted replica is not asked")
        await asyncio.sleep(1)
        assert await age(http, status) is None
