"""Few orders start at the same time: a crowd waits in the API, not in the queues of Temporal's server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from support.api import QUICK, caller, problem, running
from temporalio.client import Client, Interceptor, OutboundInterceptor, StartWorkflowInput, WorkflowHandle

from orderkit.core.orders import OrderId
from orderkit.stack.stack import Stack


class Counted(Interceptor):
    """Counts the starts under way; each takes some seconds more than Temporal itself."""

    def __init__(self, seconds: float = 0) -> None:
        self.seconds = seconds
        self.now = 0
        self.most = 0

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _Counting(next, self)


class _Counting(OutboundInterceptor):
    def __init__(self, next: OutboundInterceptor, counted: Counted) -> None:
        super().__init__(next)
        self._counted = counted

    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        self._counted.now += 1
        self._counted.most = max(self._counted.most, self._counted.now)
        try:
            await asyncio.sleep(self._counted.seconds)
            return await super().start_workflow(input)
        finally:
            self._counted.now -= 1


def counting(client: Client, counted: Counted) -> Callable[[], Awaitable[Client]]:
    """The same connection, with its starts counted."""

    async def connect() -> Client:
        return Client(
            client.service_client,
            namespace=client.namespace,
            data_converter=client.data_converter,
            interceptors=[counted],
        )

    return connect


async def test_a_crowd_starts_a_few_at_a_time(servers: Stack, client: Client, shop: object, order_id: OrderId) -> None:
    counted = Counted()

    async with running(servers.database_url, counting(client, counted), starts_at_once=2) as app, caller(app) as http:
        starts = (http.post(f"/orders/{order_id}-{number}/start", json=QUICK) for number in range(30))
        answers = await asyncio.gather(*starts)
    assert [answer.status_code for answer in answers] == [201] * 30
    assert counted.most == 2


async def test_who_waits_for_a_turn_waits_while_others_are_answered(
    servers: Stack, client: Client, shop: object, order_id: OrderId
) -> None:
    """Each start takes half a second here, so the last of six waits for longer than a call may take."""
    counted = Counted(seconds=0.5)
    async with running(servers.database_url, counting(client, counted), starts_at_once=1) as app, caller(app) as http:
        starts = (http.post(f"/orders/{order_id}-{number}/start", json=QUICK) for number in range(6))
        answers = await asyncio.gather(*starts)
    assert [answer.status_code for answer in answers] == [201] * 6
    assert counted.most == 1


async def test_nobody_waits_for_a_turn_when_temporal_answers_nobody(
    servers: Stack, client: Client, shop: object, order_id: OrderId
) -> None:
    counted = Counted(seconds=60)
    async with running(servers.database_url, counting(client, counted), starts_at_once=1) as app, caller(app) as http:
        starts = (http.post(f"/orders/{order_id}-{number}/start", json=QUICK) for number in range(6))
        answers = await asyncio.wait_for(asyncio.gather(*starts), 3)  # each for 1.5 s
        for answer in answers:
            assert problem(answer, 503, "dependency-unavailable")["dependency"] == "temporal"
            assert answer.headers["Retry-After"] == "1"
        counted.seconds = 0
        again = await http.post(f"/orders/{order_id}-5/start", json=QUICK)
        assert again.status_code == 201  # it had not been started
    assert counted.most == 1
