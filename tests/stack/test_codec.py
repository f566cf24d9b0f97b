"""The payload codec: what Temporal stores tells nothing to those without the key, and everything to those with it.

One file, though long: its tests share one set of servers with the codec on.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from pydantic import SecretStr
from starlette.applications import Starlette
from support.api import ADDRESS, CANCEL, QUICK, SECRETS, caller, problem, process, running, state_is
from support.shop import Shop, until
from temporalio.api.common.v1 import Payload
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHistory
from temporalio.envconfig import ClientConnectConfig
from temporalio.service import RPCError
from temporalio.worker import Worker

from orderkit.api.codec_server import create_codec_server
from orderkit.core.faults import parse_plan
from orderkit.core.orders import OrderId
from orderkit.errors import SettingsError
from orderkit.settings import Settings
from orderkit.stack.stack import Stack
from orderkit.stack.temporal import binary
from orderkit.store.database import Pool
from orderkit.temporal.client import TemporalSettings, connect_temporal
from orderkit.temporal.codec import ENCODING, Codec, key_id, new_key, url_token
from orderkit.worker.process import make_workers
from orderkit.workflows.reconcile import ReconcileWorkflow

NAMESPACE = "sealed"
KEY, OLD_KEY = new_key(), new_key()
UI = "http://127.0.0.1:8080"


def as_bytes(key: str) -> bytes:
    return base64.urlsafe_b64decode(key)


def codec(*keys: str) -> Codec:
    return Codec([as_bytes(key) for key in keys])


def settings(*keys: str) -> Settings:
    return Settings(codec_key=SecretStr(",".join(keys)) if keys else None)


PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"street": "13 Hidden Lane"}')


# The codec by itself


async def test_what_is_encrypted_tells_nothing_and_comes_back() -> None:
    sealed, again = [(await codec(KEY).encode([PLAIN]))[0] for _ in range(2)]
    assert sealed.metadata["encoding"] == ENCODING
    assert b"Hidden" not in sealed.SerializeToString() and b"json" not in sealed.SerializeToString()
    assert sealed.data != again.data  # equal addresses don't look equal
    assert await codec(KEY).decode([sealed, again]) == [PLAIN, PLAIN]


async def test_without_a_key_payloads_stay_plain() -> None:
    assert await codec().encode([PLAIN]) == [PLAIN]
    assert await codec().decode([PLAIN]) == [PLAIN]
    assert await codec(KEY).decode([PLAIN]) == [PLAIN]  # it was turned on while orders were open


async def test_the_first_key_encrypts_and_all_decrypt() -> None:
    old = await codec(OLD_KEY).encode([PLAIN])
    rotated = codec(KEY, OLD_KEY)
    assert await rotated.decode(old) == [PLAIN]
    new = await rotated.encode([PLAIN])
    assert new[0].metadata["encryption-key-id"].decode() == key_id(as_bytes(KEY))
    assert await codec(KEY).decode(new) == [PLAIN]


@pytest.mark.parametrize("keys", [(), (OLD_KEY,)])
async def test_a_missing_or_wrong_key_is_named(keys: tuple[str, ...]) -> None:
    sealed = await codec(KEY).encode([PLAIN])
    with pytest.raises(SettingsError, match="ORDERKIT_CODEC_KEY") as error:
        await codec(*keys).decode(sealed)
    assert key_id(as_bytes(KEY)) in str(error.value)
    assert KEY not in str(error.value)


async def test_a_changed_payload_does_not_open() -> None:
    [sealed] = await codec(KEY).encode([PLAIN])
    for data in (sealed.data[:-1] + bytes([sealed.data[-1] ^ 1]), sealed.data[:5], b""):
        with pytest.raises(SettingsError, match="cannot decrypt"):
            await codec(KEY).decode([Payload(metadata=sealed.metadata, data=data)])
    relabelled = Payload(metadata={**sealed.metadata, "encryption-key-id": key_id(as_bytes(OLD_KEY)).encode()})
    relabelled.data = sealed.data
    with pytest.raises(SettingsError, match="cannot decrypt"):
        await codec(KEY, OLD_KEY).decode([relabelled])


# Its settings


def test_keys_come_from_the_environment_then_from_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "codec.key"
    file.write_text(f"{OLD_KEY}\n")
    monkeypatch.setenv("ORDERKIT_CODEC_KEY_FILE", str(file))
    assert Settings().codec_keys() == [as_bytes(OLD_KEY)]
    monkeypatch.setenv("ORDERKIT_CODEC_KEY", KEY)
    assert Settings().codec_keys() == [as_bytes(KEY), as_bytes(OLD_KEY)]
    assert KEY not in repr(Settings())


@pytest.mark.parametrize(
    "text",
    ["secret-but-short", f"{KEY},{KEY[:-4]}", "ä" * 44, KEY[:-2]],
    ids=["short", "second cut", "not ASCII", "cut"],
)
def test_a_bad_key_is_refused_at_once_and_not_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    monkeypatch.setenv("ORDERKIT_CODEC_KEY", text)
    with pytest.raises(SettingsError, match=r"ORDERKIT_CODEC_KEY: .*orderkit codec new-key") as error:
        Settings()
    assert text not in str(error.value) and error.value.__cause__ is None
    monkeypatch.delenv("ORDERKIT_CODEC_KEY")
    monkeypatch.setenv("ORDERKIT_CODEC_KEY_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(SettingsError, match=r"ORDERKIT_CODEC_KEY_FILE .*No such file"):
        Settings()


# On real servers: a namespace of its own, since the workers of other tests have no key


@pytest_asyncio.fixture(scope="module")
async def sealed(servers: Stack, client: Client, pool: Pool) -> AsyncIterator[Shop]:
    """A worker with the key."""
    retention = Duration(seconds=86_400)
    request = RegisterNamespaceRequest(namespace=NAMESPACE, workflow_execution_retention_period=retention)
    await client.workflow_service.register_namespace(request)
    connected = await connected_with(servers, KEY)

    async def known() -> bool:
        try:
            await connected.count_workflows()
            return True
        except RPCError:
            return False

    await until(known, "the namespace is known")
    order_worker, shipping_worker = make_workers(connected, pool, ("order-tq", "shipping-tq"), slots=100)
    async with order_worker, shipping_worker:
        yield Shop(connected, pool)


async def connected_with(servers: Stack, *keys: str) -> Client:
    connection: ClientConnectConfig = {"target_host": servers.temporal_address, "namespace": NAMESPACE}
    return await connect_temporal(TemporalSettings(connection, tuple(settings(*keys).codec_keys())))


async def http_with(servers: Stack, open_until: AsyncExitStack, *keys: str) -> httpx.AsyncClient:
    """An API whose process has these keys."""

    async def connect() -> Client:
        return await connected_with(servers, *keys)

    app = await open_until.enter_async_context(running(servers.database_url, connect))
    return await open_until.enter_async_context(caller(app))


async def raw(client: Client, workflow_id: str) -> WorkflowHistory:
    return await client.get_workflow_handle(workflow_id).fetch_history()


def body(order_id: str) -> dict[str, Any]:
    faults = {"script": {"charge": ["error"], "dispatch": ["error"]}}
    payment_id = f"{SECRETS['payment_id']}-{order_id}"
    return {**QUICK, "initial_address": ADDRESS, "payment_id": payment_id, "faults": faults}


async def test_histories_hold_no_secret_and_everything_works(servers: Stack, sealed: Shop, order_id: OrderId) -> None:
    async with AsyncExitStack() as stack:
        http = await http_with(servers, stack, KEY)
        human = {**body(order_id), "review": "human"}
        assert (await http.post(f"/orders/{order_id}/start", json=human)).status_code == 201
        assert (await http.post(f"/orders/{order_id}/start", json=human)).status_code == 200  # by the memo, or the row
        move = {"new_address": {**ADDRESS, "zip": "99999"}, "updated_by": "ada"}
        assert (await http.post(f"/orders/{order_id}/updates/address", json=move)).status_code == 200
        approved = await http.post(f"/orders/{order_id}/signals/approve", json={"reviewer": "grace"})
        assert approved.status_code == 202
        await state_is(http, order_id, "shipped")
        told = (await http.get(f"/orders/{order_id}/history")).json()
        messages = json.dumps([event["attributes"].get("last_failure") for event in told["events"]])
        assert "error injected into charge" in messages and "Encoded failure" not in messages

    async def closed() -> bool:
        status = (await sealed.client.get_workflow_handle(f"order-{order_id}").describe()).status
        return status is not WorkflowExecutionStatus.RUNNING

    await until(closed, "the workflow closes")
    assert await sealed.findings(order_id) == []
    for workflow_id in (f"order-{order_id}", f"shipping-{order_id}"):
        text = (await raw(sealed.client, workflow_id)).to_json()
        stored = text + "".join(plain_data(json.loads(text)))
        for secret in (*SECRETS.values(), "Springfield", "injected", "grace"):
            assert secret not in stored, (workflow_id, secret)


def plain_data(value: Any) -> list[str]:
    """Every payload's data, which JSON holds in base64."""
    if isinstance(value, dict):
        own = [base64.b64decode(value["data"]).decode(errors="replace")] if isinstance(value.get("data"), str) else []
        return own + [text for item in value.values() for text in plain_data(item)]
    return [text for item in value for text in plain_data(item)] if isinstance(value, list) else []


async def test_a_failed_orders_reason_is_hidden_from_temporal_and_told_to_the_auditor(
    sealed: Shop, order_id: OrderId
) -> None:
    handle = await sealed.start(order_id, faults=parse_plan("validate=error,error,error", 0))
    assert await sealed.end(handle) == "failed"
    assert await sealed.findings(order_id) == []
    assert "injected" not in (await raw(sealed.client, f"order-{order_id}")).to_json()


async def test_an_api_without_the_key_says_so(servers: Stack, sealed: Shop, order_id: OrderId) -> None:
    async with AsyncExitStack() as stack:
        keyed, keyless = await http_with(servers, stack, KEY), await http_with(servers, stack)
        request = {**body(order_id), "faults": {"script": {"receive": ["hang"]}}}
        assert (await keyed.post(f"/orders/{order_id}/start", json=request)).status_code == 201
        refused = await keyless.post(f"/orders/{order_id}/start", json=request)  # no row yet: the memo would tell
        assert "ORDERKIT_CODEC_KEY" in problem(refused, 503, "dependency-unavailable")["detail"]
        assert (await keyless.get(f"/orders/{order_id}/history")).status_code == 200  # names and times need no key
        assert (await keyed.post(f"/orders/{order_id}/updates/cancel", json=CANCEL)).status_code == 200


async def test_a_worker_without_the_key_says_so_in_the_history(servers: Stack, sealed: Shop) -> None:
    keyless = await connected_with(servers)
    handle = await sealed.client.start_workflow(
        "ReconcileWorkflow", {"most": 1}, id="nobody-can-read", task_queue="keyless",
        task_timeout=timedelta(seconds=1),
    )  # fmt: skip

    async def failed() -> bool:
        history = await handle.fetch_history()
        failures = [e.workflow_task_failed_event_attributes.failure for e in history.events]
        return any("ORDERKIT_CODEC_KEY" in failure.message for failure in failures)

    async with Worker(keyless, task_queue="keyless", workflows=[ReconcileWorkflow]):
        await until(failed, "the task fails with a reason")
    await handle.terminate()


# The codec server


@pytest.fixture
def server() -> Starlette:
    return create_codec_server([as_bytes(KEY), as_bytes(OLD_KEY)], [UI])


def remote(server: Starlette, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(server), base_url="http://127.0.0.1:8081", headers=headers)


def protojson(*payloads: Payload) -> dict[str, Any]:
    def text(data: bytes) -> str:
        return base64.b64encode(data).decode()

    return {
        "payloads": [{"metadata": {k: text(v) for k, v in p.metadata.items()}, "data": text(p.data)} for p in payloads]
    }


TOKEN = url_token(as_bytes(KEY))


async def test_the_server_speaks_temporals_protocol(server: Starlette) -> None:
    [sealed_payload] = await codec(OLD_KEY).encode([PLAIN])
    async with remote(server, origin=UI, **{"x-namespace": "default"}) as http:
        decoded = await http.post(f"/{TOKEN}/decode", json=protojson(sealed_payload, PLAIN))
        assert decoded.json() == protojson(PLAIN, PLAIN)
        assert decoded.headers["access-control-allow-origin"] == UI
        encoded = (await http.post(f"/{TOKEN}/encode", json=protojson(PLAIN))).json()
        assert (await http.post(f"/{TOKEN}/decode", json=encoded)).json() == protojson(PLAIN)


async def test_the_ui_may_ask_and_other_pages_may_not(server: Starlette) -> None:
    asks = {"access-control-request-method": "POST", "access-control-request-headers": "content-type,x-namespace"}
    async with remote(server) as http:
        fine = await http.options(f"/{TOKEN}/decode", headers={**asks, "origin": UI})
        assert (fine.status_code, fine.headers["access-control-allow-origin"]) == (200, UI)
        for origin in ("http://evil.example", "null", "http://127.0.0.1:9999"):
            preflight = await http.options(f"/{TOKEN}/decode", headers={**asks, "origin": origin})
            assert "access-control-allow-origin" not in preflight.headers
            sent = await http.post(f"/{TOKEN}/decode", json=protojson(PLAIN), headers={"origin": origin})
            problem(sent, 403, "foreign-origin")


async def test_the_server_answers_only_to_its_token_and_name(server: Starlette) -> None:
    sealed_payload = (await codec(KEY).encode([PLAIN]))[0]
    async with remote(server) as http:
        for token in ("x", "é", TOKEN[:-1], url_token(as_bytes(OLD_KEY))):
            problem(await http.post(f"/{token}/decode", json=protojson(sealed_payload)), 404, "no-such-page")
        foreign = await http.post(f"/{TOKEN}/decode", json=protojson(PLAIN), headers={"host": "evil.example"})
        problem(foreign, 403, "foreign-host")
        plain_text = {"content-type": "text/plain"}
        problem(await http.post(f"/{TOKEN}/decode", content="{}", headers=plain_text), 415, "not-json")
        for nonsense in (
            b"{",
            b"\xff",
            b'{"payloads": 1}',
            b"[" * 9_000,
            b"null",
        ):
            sent = await http.post(f"/{TOKEN}/decode", content=nonsense, headers={"content-type": "application/json"})
            problem(sent, 400, "invalid-request")
        [foreign_payload] = await codec(new_key()).encode([PLAIN])
        unopened = problem(await http.post(f"/{TOKEN}/decode", json=protojson(foreign_payload)), 400, "invalid-request")
        assert "ORDERKIT_CODEC_KEY" in unopened["detail"]


def test_the_server_needs_a_key() -> None:
    with pytest.raises(SettingsError, match="ORDERKIT_CODEC_KEY"):
        create_codec_server([], [UI])


async def test_temporals_own_command_reads_through_the_server(
    servers: Stack, sealed: Shop, order_id: OrderId, tmp_path: Path
) -> None:
    """The command `orderkit codec serve` as a process, asked by the temporal CLI as its UI would ask."""
    await sealed.end(await sealed.start(order_id))
    port = str(free_port())
    code = f"from orderkit.cli import app; app(['codec', 'serve', '--port', '{port}'])"
    server = await process(code, servers, tmp_path, ORDERKIT_CODEC_KEY=KEY)
    endpoint = f"http://127.0.0.1:{port}/{TOKEN}"
    try:

        async def shown() -> bool:
            show = ("workflow", "show", "--workflow-id", f"order-{order_id}", "--output", "json")
            where = ("--address", servers.temporal_address, "--namespace", NAMESPACE, "--codec-endpoint", endpoint)
            command = await asyncio.create_subprocess_exec(
                str(binary()), *show, *where,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            told, _ = await command.communicate()
            return "1 Main Street" in "".join(plain_data(json.loads(told or b"{}")))

        await until(shown, "the CLI shows the address")
        server.terminate()
        async with asyncio.timeout(5):
            await server.wait()
    finally:
        if server.returncode is None:
            server.kill()
            await server.wait()
    assert endpoint in (tmp_path / "log").read_text()


def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
