"""`orderkit bench api`: every call is measured beside what it is compared with, and its orders are ended."""

from __future__ import annotations

from support.shop import Shop

from orderkit.benchmarks.api import cancel_all, measure
from orderkit.core.orders import ENDS, OrderId
from orderkit.stack.stack import Stack
from orderkit.store.events import OrderFilter


async def test_each_call_is_measured_and_no_order_stays_open(
    served: str, shop: Shop, servers: Stack, order_id: OrderId
) -> None:
    host, _, port = served.removeprefix("http://").partition(":")
    settings = servers.settings().model_copy(update={"api_host": host, "api_port": int(port)})
    try:
        found = [each async for each in measure(shop.pool, shop.client, settings, 16, 2, order_id)]
    finally:
        await cancel_all(shop.pool, shop.client, order_id)
    assert [(each.call, each.beside) for each in found] == [
        ("status", "bare FastAPI"),
        ("signal", "Temporal client"),
        ("health", ""),
        ("start", "Temporal client"),
    ]
    for each in found:
        assert 0 < each.api_p50 <= each.api_p99
        assert (each.bare_p50 is None) == (each.beside == "")
    orders = await shop.reader.orders(OrderFilter(prefix=order_id, most=100))
    assert len(orders) > 8
    assert {order["state"] for order in orders} <= ENDS
