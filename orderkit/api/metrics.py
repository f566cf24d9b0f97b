"""GET /metrics for Prometheus: orders counted in the database, requests counted in this process.

Orders come from one query, so they are true over restarts and the same in every API process: aggregate with `max`.
No label ever holds an id, an address or anything else that a caller chooses.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import accumulate

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orderkit.api.backends import Backends
from orderkit.api.failing import FailingWatch
from orderkit.api.health import HealthMonitor
from orderkit.api.problems import documented
from orderkit.core.orders import ENDS, OrderState
from orderkit.errors import DependencyUnavailable
from orderkit.store.totals import OrderTotals, order_totals

SECONDS = (0.25, 0.5, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 60)
_LATENCY = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10)
_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"})
# Counting takes a pass over the table: at most every five seconds, and a twentieth of one connection's time.
_FRESH_SECONDS = 5.0
_SHARE = 20
_COUNT_SECONDS = 10.0
_PATIENCE_SECONDS = 1.5


class Totals(Collector):
    """The last count of orders, renewed by who asks; nothing while PostgreSQL is away."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends
        self._latest: OrderTotals | None = None
        self._renew_at = 0.0
        self._renewing: asyncio.Task[None] | None = None

    async def refresh(self) -> None:
        """Count again if it is time; if that takes long, use the last count."""
        if time.monotonic() >= self._renew_at and (self._renewing is None or self._renewing.done()):
            self._renewing = asyncio.create_task(self._renew())
        if self._renewing:
            await asyncio.wait([self._renewing], timeout=_PATIENCE_SECONDS)

    async def _renew(self) -> None:
        started = time.monotonic()
        try:
            self._latest = await self._backends.read(lambda pool: order_totals(pool, SECONDS), _COUNT_SECONDS)
        except DependencyUnavailable:
            self._latest = None
        took = time.monotonic() - started
        self._renew_at = time.monotonic() + max(_FRESH_SECONDS, _SHARE * took)

    def collect(self) -> Iterator[Metric]:
        """Called by the registry."""
        if (told := self._latest) is None:
            return
        open_orders = GaugeMetricFamily(
            "orderkit_orders_open", "Orders that have not ended, by state.", labels=["state"]
        )
        for state in [state for state in OrderState if state not in ENDS]:
            open_orders.add_metric([state], told.open.get(state, 0))
        ended = CounterMetricFamily("orderkit_orders_ended", "Orders that have ended, by outcome.", labels=["outcome"])
        durations = HistogramMetricFamily(
            "orderkit_order_duration_seconds", "From an order's start to its end.", labels=["outcome"]
        )
        for outcome, took in told.ended.items():
            ended.add_metric([outcome], sum(took.counts))
            bounds = [*map(str, map(float, SECONDS)), "+Inf"]
            durations.add_metric([outcome], list(zip(bounds, accumulate(took.counts), strict=True)), took.seconds)
        yield from (open_orders, ended, durations)
        yield CounterMetricFamily("orderkit_deadline_misses", "Orders not decided by their deadline.", told.late)
        yield GaugeMetricFamily("orderkit_orders_overdue", "Orders that are open after their deadline.", told.overdue)
        yield CounterMetricFamily("orderkit_refunds", "Payments given back.", told.refunds)
        yield CounterMetricFamily("orderkit_refunded_amount", "Money given back.", told.refunded)


class Servers(Collector):
    """What the health check and the watch for failing workflows saw last."""

    def __init__(self, monitor: HealthMonitor, watch: FailingWatch) -> None:
        self._monitor = monitor
        self._watch = watch

    def collect(self) -> Iterator[Metric]:
        """Called by the registry."""
        health = self._monitor.latest
        up = GaugeMetricFamily(
            "orderkit_dependency_up", "Whether a server answers this process.", labels=["dependency"]
        )
        up.add_metric(["postgresql"], health.database.ok)
        up.add_metric(["temporal"], health.temporal.ok)
        workers = GaugeMetricFamily("orderkit_workers", "Live workers, by task queue.", labels=["queue"])
        for queue, number in health.pollers.items():
            workers.add_metric([queue], number)
        failing = GaugeMetricFamily(
            "orderkit_failing_workflows", "Orders that stand still since their workflow task fails.", self._watch.latest
        )
        yield from (up, workers, failing)


class CountRequests:
    """ASGI middleware, the outermost; counts until the answer begins, since a stream may last."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        names = ("method", "route")
        self._requests = Counter(
            "orderkit_http_requests", "Answers of this process.", (*names, "status"), registry=registry
        )
        self._latency = Histogram(
            "orderkit_http_request_duration_seconds",
            "From a request to the first byte of its answer.",
            names,
            registry=registry,
            buckets=_LATENCY,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Called by the server."""
        started = time.perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                method = scope["method"] if scope["method"] in _METHODS else "other"
                route = getattr(scope.get("route"), "path", "other")
                self._requests.labels(method, route, message["status"]).inc()
                self._latency.labels(method, route).observe(time.perf_counter() - started)
            await send(message)

        await self._app(scope, receive, counted if scope["type"] == "http" else send)


def make_registry(totals: Totals, monitor: HealthMonitor, watch: FailingWatch) -> CollectorRegistry:
    """One a process: of its own, for several applications may share it in tests."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(totals)
    registry.register(Servers(monitor, watch))
    ProcessCollector(registry=registry)
    return registry


def metrics_routes(totals: Totals, registry: CollectorRegistry) -> APIRouter:
    """GET /metrics."""
    router = APIRouter(tags=["health"])

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}, **documented()})
    async def metrics() -> Response:
        """For Prometheus: orders as the database counts them, requests of this process. No ids, no addresses."""
        await totals.refresh()
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router
