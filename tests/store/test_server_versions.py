"""PostgreSQL 15 and newer, and a schema that this version knows: what works, and how the rest is refused."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import asyncpg
import pytest
import pytest_asyncio
from support.api import Gate, caller, problem, running
from support.postgresql import on_newest_and_oldest
from support.shop import until
from temporalio.client import Client

from orderkit.doctor.doctor import doctor
from orderkit.errors import UnsupportedDatabase
from orderkit.stack import postgres
from orderkit.stack.stack import Stack
from orderkit.store.database import Pool, open_pool
from orderkit.store.migrations import migrate, reset
from orderkit.store.queries import queries


@on_newest_and_oldest
async def test_a_lab_is_served_by_the_version_that_made_its_data(servers: Stack, pool: Pool) -> None:
    served_by = await pool.fetchval("SELECT current_setting('server_version_num')::integer / 10000")
    assert served_by == postgres.data_version(servers.home)


@on_newest_and_oldest
async def test_every_query_is_one_that_the_server_understands(pool: Pool) -> None:
    texts = {name: getattr(queries, name).sql for name in queries.available_queries if not name.endswith("_cursor")}
    assert len(texts) > 30
    async with pool.acquire() as connection:
        for text in texts.values():
            await connection.prepare(text)


class OldServer(Gate):
    """A relay to a real PostgreSQL that makes it say that it is version 14."""

    def passed(self, data: bytes) -> bytes:
        return data.replace(b"server_version\x0018.", b"server_version\x0014.")


@dataclass(frozen=True)
class Unsupported:
    """A database that orderkit refuses, and why."""

    url: str
    what: str
    remedy: str


@pytest_asyncio.fixture(params=["too old", "too new"])
async def unsupported(request: pytest.FixtureRequest, servers: Stack, pool: Pool) -> AsyncIterator[Unsupported]:
    if request.param == "too old":
        async with OldServer(("127.0.0.1", servers.ports.postgres)) as gate:
            url = servers.database_url.replace(f":{servers.ports.postgres}/", f":{gate.port}/")
            yield Unsupported(url, "orderkit needs 15 or newer", "use a newer server")
        return
    name = f"newer_{uuid.uuid4().hex[:8]}"
    superuser = await asyncpg.connect(servers.superuser_url())
    await superuser.execute(f"CREATE DATABASE {name} OWNER orderkit")
    await superuser.close()
    url = servers.database_url.replace("/orderkit?", f"/{name}?")
    await migrate(url)
    connection = await asyncpg.connect(url)
    await connection.execute(
        "INSERT INTO _pogo_migration (migration_hash, migration_id, applied, schema_name)"
        " VALUES ('h', '99991231_01_tomorrow', now(), 'public')"
    )
    await connection.close()
    yield Unsupported(url, "a newer orderkit has changed this database (it applied 99991231_01_tomorrow)", "use that")


async def test_migrating_refuses_it(unsupported: Unsupported) -> None:
    for attempt in (migrate, reset):
        with pytest.raises(UnsupportedDatabase) as refusal:
            await attempt(unsupported.url)
        assert unsupported.what in str(refusal.value)
        assert unsupported.remedy in refusal.value.remedy


@pytest.mark.parametrize("command", ["worker", "db migrate", "audit"])
async def test_a_command_ends_with_one_sentence(unsupported: Unsupported, servers: Stack, command: str) -> None:
    told = {"ORDERKIT_DATABASE_URL": unsupported.url, "TEMPORAL_ADDRESS": servers.temporal_address}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orderkit", *command.split()),
        env=os.environ | told,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        out, said = await process.communicate()
    assert process.returncode == 1
    assert out == b""
    [line] = said.decode().splitlines()
    assert line.startswith("error: UnsupportedDatabase: ")
    assert unsupported.what in line
    assert unsupported.remedy in line


async def test_the_api_says_it_in_its_health_and_in_every_answer(unsupported: Unsupported, client: Client) -> None:
    async def connect() -> Client:
        return client

    async with running(unsupported.url, connect) as app, caller(app) as http:

        async def told() -> bool:
            health = await http.get("/health")
            assert health.status_code == 503
            return unsupported.what in health.json()["database"]["detail"]

        await until(told, "health says why")
        refused = problem(await http.get("/orders/some-order/status"), 503, "dependency-unavailable")
    assert unsupported.what in refused["detail"]
    assert refused["dependency"] == "postgresql"


@pytest.fixture
def environment(unsupported: Unsupported, servers: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("ORDERKIT_DATABASE_URL", unsupported.url)
    monkeypatch.setenv("TEMPORAL_ADDRESS", servers.temporal_address)
    yield


@pytest.mark.usefixtures("environment")
async def test_doctor_says_what_to_do(unsupported: Unsupported, servers: Stack) -> None:
    checks = await asyncio.to_thread(doctor, servers.home)
    [database] = [check for check in checks if check.name == "database"]
    assert not database.ok
    assert unsupported.what in database.detail
    assert unsupported.remedy in database.remedy
    assert "schema" not in [check.name for check in checks]


async def test_the_refusal_leaves_no_connection_behind(unsupported: Unsupported, pool: Pool) -> None:
    count = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'orderkit' AND pid <> pg_backend_pid()"
    async with pool.acquire() as connection:
        before = await connection.fetchval(count)
        with pytest.raises(UnsupportedDatabase):
            async with open_pool(unsupported.url, 2):
                raise AssertionError("it was opened")

        async def gone() -> bool:
            return bool(await connection.fetchval(count) <= before)

        await until(gone, "its connections are gone")
