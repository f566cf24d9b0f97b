"""OpenTelemetry: one trace of one order, from the API's call to every activity, and nothing secret in it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.api import ADDRESS, QUICK, SECRETS, caller, running, state_is
from support.shop import until
from temporalio.client import Client
from temporalio.contrib.opentelemetry import TracingInterceptor

from orderkit.errors import SettingsError
from orderkit.settings import Settings
from orderkit.stack.lifecycle import down, up
from orderkit.stack.stack import Stack
from orderkit.store.database import open_pool
from orderkit.store.migrations import migrate
from orderkit.temporal.client import connect_temporal
from orderkit.temporal.traces import tracing
from orderkit.worker.process import make_workers


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Servers of its own: on the session's, workers without traces would take steps."""
    home: Path = tmp_path_factory.mktemp("traced") / ".orderkit"
    try:
        yield up(home, programs=("postgres", "temporal"), migrate=migrate)
    finally:
        down(home)


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest_asyncio.fixture(scope="module")
async def http(stack: Stack, exporter: InMemorySpanExporter) -> AsyncIterator[httpx.AsyncClient]:
    """API and workers with a client as `tracing` makes it, but for where the spans go."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spans = [TracingInterceptor(provider.get_tracer("orderkit"))]

    async def connect() -> Client:
        return await connect_temporal(stack.temporal_settings(), interceptors=spans)

    async with open_pool(stack.database_url) as pool:
        order_worker, shipping_worker = make_workers(await connect(), pool, ("order-tq", "shipping-tq"))
        async with order_worker, shipping_worker, running(stack.database_url, connect) as app, caller(app) as http:
            yield http


async def test_an_order_is_one_trace(http: httpx.AsyncClient, exporter: InMemorySpanExporter) -> None:
    body = {**QUICK, "initial_address": ADDRESS, "payment_id": SECRETS["payment_id"]}
    body["faults"] = {"script": {"charge": ["error", "ok"]}}
    assert (await http.post("/orders/traced/start", json=body)).status_code == 201
    await state_is(http, "traced", "shipped")

    async def has_ended() -> bool:
        return "CompleteWorkflow:OrderWorkflow" in {span.name for span in exporter.get_finished_spans()}

    await until(has_ended, "the order's last span is there")
    spans = exporter.get_finished_spans()
    assert len({trace_of(span) for span in spans}) == 1
    counts = {name: [span.name for span in spans].count(name) for name in (
        "StartWorkflow:OrderWorkflow", "RunWorkflow:OrderWorkflow", "StartChildWorkflow:ShippingWorkflow",
        "RunWorkflow:ShippingWorkflow", "RunActivity:charge_payment_activity", "RunActivity:dispatch_carrier_activity",
    )}  # fmt: skip
    assert counts.pop("RunActivity:charge_payment_activity") == 2  # each attempt
    assert set(counts.values()) == {1}
    root = next(span for span in spans if span.parent is None)
    assert root.name == "StartWorkflow:OrderWorkflow"
    told = " ".join(span.to_json() for span in spans)
    assert not [secret for secret in SECRETS.values() if secret in told]


def trace_of(span: ReadableSpan) -> int:
    context = span.get_span_context()
    assert context is not None
    return context.trace_id


def test_traces_are_off_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with tracing(Settings(), "orderkit-api") as spans:
        assert spans == ()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    with tracing(Settings(traces=True), "orderkit-api") as spans:
        assert len(spans) == 1


def test_without_the_extra_the_setting_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match=r"pip install 'orderkit\[otel\]'"), tracing(Settings(traces=True), "x"):
        pass
