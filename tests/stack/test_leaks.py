"""After a full run with the codec on, nothing that processes write or Temporal stores holds a street, payment or key.

What may hold them: PostgreSQL's tables, and the lab's own files of secrets, which only their owner can read.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil
import pytest
from support.shop import until
from temporalio.client import Client

from orderkit.client import OrderkitClient
from orderkit.contract import CancelBody, StartOrder
from orderkit.errors import DependencyUnavailable, OrderkitError
from orderkit.logs import log_json
from orderkit.stack.lifecycle import down, up
from orderkit.stack.stack import Stack
from orderkit.temporal.codec import new_key

STREETS = ("13 Hidden Lane", "77 Secret Mews")
PAYMENT = "pay-hush-hush"
API_KEY = "api-key-hush-hush"
CODEC_KEY = new_key()
DEADLINE_SECONDS = 12


def address(number: int) -> dict[str, str]:
    return {"street": STREETS[number], "city": "Shadowville", "state": "IL", "zip": "62701"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("leaks") / ".orderkit"
    home.mkdir()
    (home / "codec.key").write_text(CODEC_KEY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ORDERKIT_API_KEY", API_KEY)
        patch.setenv("ORDERKIT_LOG_LEVEL", "DEBUG")
        try:
            yield up(home, preferred={})
        finally:
            down(home)


class Run:
    """Orders that meet everything that can happen to one."""

    def __init__(self, stack: Stack, http: OrderkitClient) -> None:
        self._stack, self._http = stack, http
        self.answers: list[str] = []  # what the API said

    async def send(self, method: str, path: str, body: Any = None) -> httpx.Response:
        answer = await self._http.request(method, path, fine=range(400, 600), json=body)
        self.answers.append(answer.text)
        return answer

    async def start(self, name: str, **fields: Any) -> httpx.Response:
        given = {"initial_address": address(0), "payment_id": f"{PAYMENT}-{name}", "review": "none", "policy": "budget"}
        return await self.send("POST", f"/orders/{name}/start", {**given, "deadline": DEADLINE_SECONDS, **fields})

    async def ended(self, name: str) -> str:
        """Its outcome; patient with servers that were just killed."""
        found = ""

        async def has_ended() -> bool:
            nonlocal found
            try:
                found = (await self._http.status(name)).outcome or ""
            except (OrderkitError, httpx.HTTPError):
                return False
            return bool(found)

        await until(has_ended, f"{name} ends", timeout_seconds=60)
        return found

    async def everything(self) -> None:
        script = {"charge": ["error", "hang", "error_after", "ok"], "dispatch": ["hang_after", "error", "ok"]}
        await self.start("faulty", faults={"script": script})
        await self.start("declined", faults={"script": {"charge": ["decline"]}})
        await self.start("crashing", faults={"script": {"charge": ["crash_after"], "prepare": ["crash"]}})
        await self.start("hopeless", faults={"script": {"dispatch": ["error"] * 300}})
        await self.start("moved", review="human")
        await self.start("cancelled", review="human")
        # Refused in every way that names what was sent.
        await self.start("bad", initial_address={**address(0), "zip": "?"})
        await self.start("bad", initial_address={**address(0), "planet": STREETS[1]})
        await self.start("bad", payment_id=f"{PAYMENT}/{STREETS[0]}")
        await self.start("faulty", initial_address=address(1))
        await self.start("thief", payment_id=f"{PAYMENT}-faulty")  # another order's key
        await self.send("POST", f"/orders/{STREETS[0]}/start", {})
        move = {"new_address": address(1), "updated_by": "ada"}
        await self.send("POST", "/orders/moved/signals/update-address", move)
        await self.send("POST", "/orders/moved/updates/address", move)
        await self.send("POST", "/orders/moved/updates/review", {"reviewer": "grace", "approve": True})
        await self.send("POST", "/orders/moved/updates/review", {"reviewer": "ada", "approve": False})
        await self.send("POST", "/orders/cancelled/updates/cancel", CancelBody(cancelled_by="ada").model_dump())
        for name in ("faulty", "declined", "crashing", "hopeless", "moved", "cancelled", "thief"):
            await self.ended(name)

    async def with_servers_killed(self) -> None:
        for victim in ("postgres", "temporal", "worker-0", "api"):
            await self.start(f"killed-{victim}", faults={"script": {"charge": ["slow(400)"], "prepare": ["slow(400)"]}})
            await asyncio.to_thread(self._stack.kill, victim)
            await self.ended(f"killed-{victim}")

    async def look(self) -> None:
        """Whatever the API tells about them."""
        for name in ("faulty", "declined", "crashing", "hopeless", "moved", "cancelled", "thief"):
            for what in ("status", "events", "attempts", "history"):
                await self.send("GET", f"/orders/{name}/{what}")
        for path in ("/orders", "/health", "/metrics", "/openapi.json"):
            await self.send("GET", path)


async def provoke_postgresql(url: str) -> None:
    """Statements that fail on a row or in a text that holds a secret."""
    connection = await asyncpg.connect(url)
    payment = "INSERT INTO trellis_payments (payment_id, order_id, status, amount)"
    for statement in (
        f"{payment} VALUES ('{PAYMENT}-faulty', 'x', 'pending', 1)",
        f"{payment} VALUES ('{PAYMENT}-y', 'y', 'odd', 1)",
        f"UPDATE trellis_orders SET state = '{STREETS[0]}' WHERE id = 'faulty'",
        f"SELECT '{STREETS[0]}' FROM nowhere",
        f"CREATE ROLE orderkit PASSWORD '{API_KEY}'",
    ):
        with pytest.raises(asyncpg.PostgresError):
            await connection.execute(statement)
    await connection.close()


async def histories(stack: Stack) -> dict[str, str]:
    """Every history as it can be exported by somebody who has no key."""
    client = await Client.connect(stack.temporal_address)
    found = {}
    async for each in client.list_workflows():
        handle = client.get_workflow_handle(each.id, run_id=each.run_id)
        found[f"history of {each.id}"] = (await handle.fetch_history()).to_json()
        found[f"description of {each.id}"] = str((await handle.describe()).raw_description)
    return found


@pytest.mark.timeout(240)
async def test_nothing_written_or_stored_by_temporal_holds_a_secret(stack: Stack) -> None:
    async with OrderkitClient(stack.api_url, API_KEY) as http:
        run = Run(stack, http)
        await run.everything()
        await run.with_servers_killed()
        await run.look()
        command_lines = "\n".join(line for line in map(command_line, psutil.process_iter()) if str(stack.home) in line)
    await provoke_postgresql(stack.database_url)
    texts = await histories(stack)
    assert len(texts) > 20
    await asyncio.to_thread(down, stack.home)  # so that every log and every page of temporal.db is written
    texts |= {str(file): file.read_bytes().decode("latin-1") for file in written(stack.home)}
    texts |= {"answers": "\n".join(run.answers), "command lines": command_lines}
    assert "violates check constraint" in next(text for name, text in texts.items() if name.endswith("postgres.log"))
    assert all(program in command_lines for program in ("temporal server", "-m orderkit api", "listen_addresses"))
    own = [stack.secrets.postgres, stack.secrets.orderkit, stack.secrets.supervisor]
    leaks = [
        f"{secret} in {name}: …{text[max(0, at - 200) : at + 100]}…"
        for name, text in texts.items()
        for secret in (*STREETS, PAYMENT, API_KEY, CODEC_KEY, *own, "Shadowville")
        if (at := text.find(secret)) >= 0
    ]
    assert not leaks, "\n\n".join(leaks)


def written(home: Path) -> list[Path]:
    """What the lab's processes wrote, but PostgreSQL's tables and the files that are there to hold secrets."""
    private = {"secrets.json", "supervisord.conf", "codec.key"}
    for name in private:
        assert (home / name).stat().st_mode & 0o077 == 0 or name == "codec.key"
    return [
        file
        for file in home.rglob("*")
        if file.is_file() and "postgres" not in file.relative_to(home).parts[:-1] and file.name not in private
    ]


def command_line(process: psutil.Process) -> str:
    """A process's words, and the environment of the servers, which are told no key."""
    try:
        words = " ".join(process.cmdline())
        environment = process.environ()
    except psutil.Error:
        return ""
    server = process.name() in ("postgres", "temporal")
    told = " ".join(f"{name}={value}" for name, value in environment.items()) if server else ""
    return f"{environment.get('ORDERKIT_HOME', environment.get('ORDERKIT_LAB', ''))} {words} {told}"


def test_logged_exceptions_tell_their_first_line_only(capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger().handlers[:]
    log_json("INFO")
    try:
        try:
            try:
                StartOrder.model_validate({"initial_address": {**address(0), "zip": "?"}})
            except ValueError as error:
                raise DependencyUnavailable("postgresql", f"it is away\nDETAIL: ({STREETS[1]})") from error
        except DependencyUnavailable:
            logging.getLogger("orderkit").exception("it failed")
    finally:
        logging.getLogger().handlers[:] = before
    line = json.loads(capsys.readouterr().err)
    assert (
        "DependencyUnavailable: it is away" in line["exc_info"]
        and "ValidationError: 1 validation error" in line["exc_info"]
    )
    assert "test_leaks.py" in line["exc_info"]
    assert not [street for street in STREETS if street in json.dumps(line)]
    assert os.linesep not in line["message"]
