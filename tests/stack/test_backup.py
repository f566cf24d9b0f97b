"""Backups taken while orders run, read into a fresh server and audited; and the moment before a table was dropped."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from support.shop import until

from orderkit.client import OrderkitClient
from orderkit.contract import StartOrder
from orderkit.core.faults import parse_plan
from orderkit.errors import LabError
from orderkit.stack.lifecycle import down, up
from orderkit.stack.point_in_time import archive
from orderkit.stack.stack import Stack

pytestmark = pytest.mark.timeout(300)
ORDERS = 40


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    yield from one(tmp_path_factory.mktemp("original") / ".orderkit")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    yield from one(tmp_path_factory.mktemp("fresh") / ".orderkit")


def one(home: Path) -> Iterator[Stack]:
    try:
        yield up(home)
    finally:
        down(home)


def environment(home: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "ORDERKIT_HOME": str(home), **more}


def orderkit(home: Path, *words: str, **more: str) -> Any:
    """Run a command; its answer as JSON."""
    command = [sys.executable, "-m", "orderkit", *words, "--json"]
    done = subprocess.run(command, env=environment(home, **more), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def refused(home: Path, *words: str, **more: str) -> str:
    command = [sys.executable, "-m", "orderkit", *words]
    done = subprocess.run(command, env=environment(home, **more), capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr


async def run_orders(lab: Stack, prefix: str, count: int) -> None:
    """Some ship, some are paid and get no further for a while, some wait for a person."""
    async with OrderkitClient(lab.api_url) as client:
        for number in range(count):
            review = "human" if number % 5 == 0 else "none"
            faults = f"dispatch={','.join(['hang'] * 60)}" if number % 5 == 1 else "charge=error,ok"
            body = StartOrder.of(parse_plan(faults), policy="budget", review=review, deadline=600)
            await client.start(f"{prefix}-{number}", body)


async def test_a_backup_under_load_is_restored_elsewhere_and_audited(lab: Stack, fresh: Stack, tmp_path: Path) -> None:
    file = tmp_path / "orders.dump"
    load = asyncio.create_task(run_orders(lab, "b", ORDERS))

    async def is_under_way() -> bool:
        return int(await fetch(lab, "SELECT count(*) FROM trellis_orders WHERE state = 'shipped'")) > 3

    await until(is_under_way, "orders are on their way")
    told = await asyncio.to_thread(orderkit, lab.home, "db", "backup", str(file))
    assert told["bytes"] == file.stat().st_size > 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    await load
    restored = await asyncio.to_thread(orderkit, fresh.home, "db", "restore", str(file))
    assert 0 < restored["orders"] <= ORDERS
    still_open = await fetch(fresh, "SELECT count(*) FROM trellis_orders WHERE closed_at IS NULL")
    assert still_open > 0  # the load was under way
    settled = await asyncio.to_thread(orderkit, fresh.home, "reconcile")
    assert len(settled["settled"]) <= still_open  # the schedule may have been quicker
    audited = await asyncio.to_thread(orderkit, fresh.home, "audit")  # fails where there is a finding
    assert audited["orders"] == audited["without_history"] == restored["orders"]
    # An order of the old days goes on where it is, and a new one can be started here.
    async with OrderkitClient(fresh.api_url) as client:
        await client.start("after", StartOrder.of(parse_plan("calm"), review="none", policy="budget"))
        assert (await client.wait("after", 30)).state == "shipped"


async def fetch(lab: Stack, query: str) -> Any:
    connection = await asyncpg.connect(lab.database_url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_a_server_elsewhere_by_its_url_and_orders_are_not_lost_by_mistake(fresh: Stack, tmp_path: Path) -> None:
    superuser = await asyncpg.connect(fresh.superuser_url())
    await superuser.execute("CREATE DATABASE elsewhere OWNER orderkit")
    await superuser.close()
    url = fresh.database_url.replace("/orderkit?", "/elsewhere?")
    file = tmp_path / "orders.dump"
    orderkit(fresh.home, "db", "backup", str(file))
    home = tmp_path / "nowhere"
    there = {"ORDERKIT_DATABASE_URL": url, "TEMPORAL_ADDRESS": fresh.temporal_address}
    count = await asyncio.to_thread(orderkit, home, "db", "restore", str(file), **there)
    assert count["orders"] == await fetch(fresh, "SELECT count(*) FROM trellis_orders")
    assert "--replace" in refused(home, "db", "restore", str(file), **there)
    again = await asyncio.to_thread(orderkit, home, "db", "restore", "--replace", str(file), **there)
    assert again == count
    assert "orderkit:" not in str(again)  # no password anywhere


def test_what_is_no_backup_changes_nothing(fresh: Stack, tmp_path: Path) -> None:
    junk = tmp_path / "junk"
    junk.write_text("PGDMP no")
    assert "was not written by orderkit db backup" in refused(fresh.home, "db", "restore", "--replace", str(junk))
    assert "no backup" in refused(fresh.home, "db", "restore", "--replace", str(tmp_path / "missing"))
    assert "cannot be written" in refused(fresh.home, "db", "backup", str(tmp_path / "no" / "folder"))
    assert orderkit(fresh.home, "order", "list", "--limit", "1")["orders"]


async def test_the_second_before_a_table_was_dropped(lab: Stack, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    command = [sys.executable, "-m", "orderkit", "db", "archive", str(folder)]
    with subprocess.Popen(command, env=environment(lab.home), stderr=subprocess.PIPE, text=True) as archive:  # noqa: ASYNC220
        assert archive.stderr
        assert "base backup" in await asyncio.to_thread(archive.stderr.readline)
        await run_orders(lab, "p", 5)
        async with OrderkitClient(lab.api_url) as client:
            for name in ("p-2", "p-3", "p-4"):
                assert (await client.wait(name, 60)).state == "shipped"

        async def all_are_received() -> bool:
            return bool(await fetch(lab, "SELECT count(*) = 5 FROM trellis_orders WHERE id LIKE 'p-%'"))

        await until(all_are_received, "the orders that wait are there, too")
        moment = datetime.now(UTC)
        await fetch(lab, "DROP TABLE trellis_events CASCADE")  # somebody's mistake
        await fetch(lab, "DELETE FROM trellis_orders WHERE state = 'shipped' AND id LIKE 'p%'")
        archive.send_signal(signal.SIGTERM)
        assert archive.wait(20) == 0
    home = tmp_path / "restored" / ".orderkit"
    too_early = datetime(2020, 1, 1, tzinfo=UTC).isoformat()
    assert "begins at" in refused(home, "db", "restore", str(folder), "--until", too_early)
    told = orderkit(home, "db", "restore", str(folder), "--until", moment.isoformat())
    assert told["home"] == str(home)
    # Stopped before that, the server would replay the mistake, too, when it starts again.
    assert "archive recovery complete" in (home / "logs" / "restore.log").read_text()
    try:
        await asyncio.to_thread(down, lab.home)
        restored = await asyncio.to_thread(up, home, programs=("postgres", "temporal", "worker"))
        assert await fetch(restored, "SELECT count(*) FROM trellis_orders WHERE id LIKE 'p-%'") == 5
        assert (
            await fetch(restored, "SELECT count(*) FROM trellis_orders WHERE id LIKE 'p-%' AND state = 'shipped'") == 3
        )
        orderkit(home, "reconcile")
        assert orderkit(home, "audit")["findings"] == []
    finally:
        await asyncio.to_thread(down, home)
    assert "has data already" in refused(home, "db", "restore", str(folder))


async def test_an_archive_goes_on_unless_changes_are_missing(fresh: Stack, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    with archive(fresh, folder):
        pass
    with archive(fresh, folder) as stream:  # nothing is missing yet
        assert stream.poll() is None
    superuser = await asyncpg.connect(fresh.superuser_url())
    try:
        for _ in range(2):  # now the server needs none of what the archive lacks
            await superuser.execute("SELECT pg_switch_wal()")
            await superuser.execute("CREATE TABLE filler AS SELECT 1 AS a; DROP TABLE filler; CHECKPOINT")
    finally:
        await superuser.close()
    with pytest.raises(LabError, match="thrown away changes"), archive(fresh, folder):
        pass
