"""The REST API's doors: what each refusal looks like, and that no error or log tells a secret."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import SecretStr
from support.api import ADDRESS, HERE, MOVE, QUICK, SECRETS, caller, problem, state_is
from temporalio.client import Client

from orderkit.api.app import create_app
from orderkit.client import OrderkitClient
from orderkit.core.orders import OrderId
from orderkit.errors import SettingsError
from orderkit.settings import Settings
from orderkit.stack.stack import Stack


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8000", "", "[", "a b"])
async def test_a_foreign_host_is_refused(http: httpx.AsyncClient, host: str) -> None:
    for path in ("/orders", "/health", "/docs"):
        problem(await http.get(path, headers={"host": host}), 403, "foreign-host")


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000"])
async def test_loopback_names_are_welcome(http: httpx.AsyncClient, host: str) -> None:
    assert (await http.get("/orders", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_a_foreign_page_cannot_post(http: httpx.AsyncClient, order_id: OrderId, headers: dict[str, str]) -> None:
    problem(await http.post(f"/orders/{order_id}/start", headers=headers), 403, "foreign-origin")
    problem(await http.get(f"/orders/{order_id}/status"), 404, "order-not-found")


async def test_its_own_page_can_post(http: httpx.AsyncClient, order_id: OrderId) -> None:
    headers = {"origin": HERE, "sec-fetch-site": "same-origin"}
    assert (await http.post(f"/orders/{order_id}/start", json=QUICK, headers=headers)).status_code == 201


async def test_no_answer_invites_other_origins(http: httpx.AsyncClient) -> None:
    response = await http.get("/orders", headers={"origin": "http://evil.example"})
    assert not [name for name in response.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonp"])
async def test_only_json_bodies_are_taken(http: httpx.AsyncClient, order_id: OrderId, media_type: str) -> None:
    headers = {"content-type": media_type}
    problem(await http.post(f"/orders/{order_id}/start", content="{}", headers=headers), 415, "not-json")


async def test_a_large_body_is_refused_announced_or_not(http: httpx.AsyncClient, served: str) -> None:
    headers = {"content-type": "application/json"}
    problem(await http.post("/orders/big/start", content=b" " * 10_000_000, headers=headers), 413, "too-large")

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 1_000

    problem(await http.post("/orders/big/start", content=chunks(), headers=headers), 413, "too-large")
    async with httpx.AsyncClient(base_url=served) as browser:
        problem(await browser.post("/orders/big/start", content=chunks(), headers=headers), 413, "too-large")


async def test_a_bound_address_needs_a_key(servers: Stack, client: Client) -> None:
    async def connect() -> Client:
        return client

    url = SecretStr(servers.database_url)
    with pytest.raises(SettingsError, match="ORDERKIT_API_KEY"):
        create_app(Settings(database_url=url, api_host="0.0.0.0"), connect)
    app = create_app(Settings(database_url=url, api_host="0.0.0.0", api_key=SecretStr("s3cret")), connect)
    async with app.router.lifespan_context(app), caller(app) as http:
        for headers in ({}, {"x-api-key": ""}, {"x-api-key": "S3cret"}, {"x-api-key": "s3cret2"}):
            problem(await http.get("/orders", headers=headers), 401, "api-key")
        assert (await http.get("/orders", headers={"x-api-key": "s3cret"})).status_code == 200
        for path in ("/health", "/docs", "/openapi.json"):
            assert (await http.get(path)).status_code in (200, 503)
        transport = httpx.ASGITransport(app)
        async with OrderkitClient(HERE, SecretStr("s3cret"), transport) as orderkit:
            assert (await orderkit.list()).orders is not None
        async with OrderkitClient(HERE, "wrong", transport) as orderkit:
            with pytest.raises(SettingsError, match="X-API-Key"):
                await orderkit.list()


async def test_errors_and_logs_hold_no_address_and_no_payment_id(
    http: httpx.AsyncClient, order_id: OrderId, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    body = {**QUICK, "initial_address": ADDRESS, "payment_id": f"{SECRETS['payment_id']}-{order_id}"}
    texts = [
        (await http.post(f"/orders/{order_id}/start", json=body)).text,
        (await http.post(f"/orders/{order_id}/start", json={**body, "deadline": 7})).text,
        (await http.post(f"/orders/{order_id}/start", json={**body, "initial_address": {**ADDRESS, "zip": "?"}})).text,
        (await http.post(f"/orders/{order_id}/signals/update-address", json={**MOVE, "more": ADDRESS})).text,
    ]
    await state_is(http, order_id, "shipped")
    texts += [(await http.get(f"/orders/{order_id}/{path}")).text for path in ("status", "events", "history")]
    for secret in SECRETS.values():
        assert secret not in "".join(texts) + caplog.text
