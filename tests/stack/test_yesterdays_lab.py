"""A lab that an earlier version made comes up with everything kept; one that a newer version made is refused.

`labs/f735653.tar.xz` is the folder of a lab of that commit after `orderkit down`, without its logs and PostgreSQL's
note of its last command line. To keep its open orders open for years, and the histories of the others, that commit's
longest deadline was raised and Temporal told to keep what has ended: the open orders are due in September 2036.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from support.postgresql import make_home
from support.shop import Shop
from temporalio.client import Client

from orderkit import __version__
from orderkit.audit.audit import audit
from orderkit.client import OrderkitClient
from orderkit.core.orders import OrderId
from orderkit.doctor.doctor import doctor
from orderkit.errors import LabError, UnsupportedDatabase
from orderkit.stack import postgres
from orderkit.stack.lifecycle import down, up
from orderkit.stack.processes import processes_of
from orderkit.stack.stack import Stack
from orderkit.store.database import open_pool
from orderkit.store.migrations import migrate, pending

STORED = Path(__file__).parent / "labs" / "f735653.tar.xz"
ENDED = {"shipped": "shipped", "shipped-after-faults": "shipped", "declined": "rejected", "cancelled": "cancelled"}
OPEN = {"in-review": "in_review", "rejected-later": "in_review", "hanging": "prepared", "hanging-for-long": "prepared"}
FREE: dict[str, int] = {}  # no port is preferred: the tests run beside labs and beside each other


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder for one lab; nothing of it may survive the test."""
    home = tmp_path / ".orderkit"
    yield home
    down(home)
    assert processes_of(home) == []


def unpack(home: Path) -> None:
    owner = make_home(home)
    with tarfile.open(STORED) as archive:
        archive.extractall(home, filter="tar")
    if owner:
        for folder, _, files in os.walk(home / postgres.DATA_FOLDER):
            for name in (".", *files):
                shutil.chown(Path(folder, name), owner)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stored lab, brought up by today's code."""
    home: Path = tmp_path_factory.mktemp("yesterday") / ".orderkit"
    unpack(home)
    try:
        yield up(home, preferred=FREE)
    finally:
        down(home)


@pytest_asyncio.fixture(scope="module")
async def orderkit(stack: Stack) -> AsyncIterator[OrderkitClient]:
    async with OrderkitClient(stack.api_url) as orderkit:
        yield orderkit


@pytest_asyncio.fixture(scope="module")
async def lab(stack: Stack) -> AsyncIterator[Shop]:
    """The database and Temporal behind the API, to look at; the worker is the stack's own."""
    async with open_pool(stack.database_url, 2) as pool:
        yield Shop(await Client.connect(stack.temporal_address), pool)


async def test_every_order_is_there_and_what_waited_goes_on(orderkit: OrderkitClient, lab: Shop) -> None:
    states = {order.order_id: str(order.state) for order in (await orderkit.list()).orders}
    assert states.keys() == ENDED.keys() | OPEN.keys()
    went_on = {"hanging"}  # its next attempt may be quicker than we are
    assert {name: state for name, state in states.items() if name not in went_on} == {
        name: state for name, state in (ENDED | OPEN).items() if name not in went_on
    }
    assert (await orderkit.wait("hanging")).state == "shipped"
    assert await lab.findings(OrderId("hanging")) == []


async def test_ended_orders_keep_their_events_and_histories(orderkit: OrderkitClient, lab: Shop) -> None:
    for name, state in ENDED.items():
        kept = [event.type for event in (await orderkit.history(name)).events]
        assert kept[0] == "WORKFLOW_EXECUTION_STARTED"
        assert kept[-1] == "WORKFLOW_EXECUTION_COMPLETED"
        assert f"order_{state}" in await lab.event_types(OrderId(name))
    assert await lab.findings(*map(OrderId, ENDED)) == []
    attempts = [attempt for attempt in await lab.attempts(OrderId("shipped-after-faults")) if attempt[0] == "dispatch"]
    assert attempts == [("dispatch", 1, "timed_out"), ("dispatch", 2, "failed"), ("dispatch", 3, "completed")]
    assert [row["kind"] for row in await lab.reader.ledger(OrderId("cancelled"))] == ["charge", "void", "refund"]


async def test_an_open_review_is_approved_and_ships(orderkit: OrderkitClient, lab: Shop) -> None:
    await orderkit.approve("in-review", "grace")
    assert (await orderkit.wait("in-review")).state == "shipped"
    assert await lab.findings(OrderId("in-review")) == []


async def test_an_open_review_is_rejected(orderkit: OrderkitClient, lab: Shop) -> None:
    await orderkit.review_now("rejected-later", False, "grace", "out of stock")
    assert (await orderkit.wait("rejected-later")).state == "cancelled"
    assert await lab.findings(OrderId("rejected-later")) == []


async def test_an_order_whose_shipping_hangs_is_cancelled_and_refunded(orderkit: OrderkitClient, lab: Shop) -> None:
    await orderkit.cancel("hanging-for-long", "ada", "changed my mind")
    assert (await orderkit.wait("hanging-for-long")).state == "cancelled"
    assert await lab.findings(OrderId("hanging-for-long")) == []
    kinds = [row["kind"] for row in await lab.reader.ledger(OrderId("hanging-for-long"))]
    assert kinds == ["charge", "void", "refund"]


async def test_it_takes_new_orders_and_the_whole_audit_is_clean(
    stack: Stack, orderkit: OrderkitClient, lab: Shop
) -> None:
    await orderkit.start("new")
    assert (await orderkit.wait("new")).state == "shipped"
    assert await pending(stack.database_url) == []
    report = await audit(lab.pool, lab.client)
    assert report.findings == []
    assert report.orders == len(ENDED) + len(OPEN) + 1


def test_a_lab_that_a_newer_version_used_is_refused(home: Path) -> None:
    home.mkdir()
    kept = {"version": "999.1.0", "ports": {"what": "nobody knows yet"}}
    (home / "stack.json").write_text(json.dumps(kept))
    sentence = r"orderkit 999\.1\.0 has used the lab in .*: use the newer one, or choose another folder"
    with pytest.raises(LabError, match=sentence):
        up(home, programs=("postgres",), preferred=FREE)
    assert json.loads((home / "stack.json").read_text()) == kept
    assert not (home / "postgres").exists()
    [check] = [check for check in doctor(home) if check.name == "lab"]
    assert not check.ok
    assert "999.1.0" in check.detail
    assert down(home) == []


def test_a_lab_whose_data_is_of_a_postgresql_that_is_not_here_is_refused(home: Path) -> None:
    (home / "postgres").mkdir(parents=True)
    (home / "postgres" / "PG_VERSION").write_text("99\n")
    (home / "secrets.json").write_text(json.dumps({"postgres": "p", "orderkit": "o", "supervisor": "s"}))
    with pytest.raises(LabError, match=r"the lab's data is of PostgreSQL 99.*install that version, or choose another"):
        up(home, programs=("postgres",), preferred=FREE)
    assert (home / "postgres" / "PG_VERSION").read_text() == "99\n"


async def test_a_lab_whose_schema_a_newer_version_changed_is_refused_and_stays_down(home: Path) -> None:
    stack = await asyncio.to_thread(up, home, programs=("postgres",), preferred=FREE, migrate=migrate)
    assert json.loads((home / "stack.json").read_text())["version"] == __version__
    connection = await asyncpg.connect(stack.database_url)
    await connection.execute(
        "INSERT INTO _pogo_migration (migration_hash, migration_id, applied, schema_name)"
        " VALUES ('h', '99991231_01_tomorrow', now(), 'public')"
    )
    await connection.close()
    await asyncio.to_thread(down, home)
    with pytest.raises(UnsupportedDatabase, match="99991231_01_tomorrow"):
        await asyncio.to_thread(up, home, preferred=FREE)
    assert processes_of(home) == []
