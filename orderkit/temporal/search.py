"""Search attributes for Temporal's lists: an order's policy and state.

A server must know them first: the lab and compose register them, elsewhere whoever runs it does
(docs/how-to/your-own-temporal.md). Where it does not, orders start without, and only such searches are missing.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode

from orderkit.core.orders import ENDS, OrderId, OrderInput, OrderState, order_id_of
from orderkit.errors import MessageRefused

POLICY = SearchAttributeKey.for_keyword("OrderPolicy")
#: `received` until a person must decide (`in_review`) or has decided (`approved`), then how it ended.
STATE = SearchAttributeKey.for_keyword("OrderState")
SEARCHED_STATES = (OrderState.RECEIVED, OrderState.IN_REVIEW, OrderState.APPROVED, *sorted(ENDS))

_AGAIN_SECONDS = 60.0
# Clients of servers that do not know the attributes, and when to try again: somebody may have registered them.
_without: weakref.WeakKeyDictionary[Client, float] = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class FoundOrder:
    """An order in Temporal's lists."""

    order_id: OrderId
    status: str  # of its workflow: running, completed, failed …
    state: str  # empty where the server does not know it
    policy: str


def first_attributes(order: OrderInput) -> TypedSearchAttributes:
    """Of an order that starts."""
    return TypedSearchAttributes(
        [SearchAttributePair(STATE, OrderState.RECEIVED.value), SearchAttributePair(POLICY, order.policy.name)]
    )


async def start_searchable(
    client: Client, order: OrderInput, start: Callable[[TypedSearchAttributes], Awaitable[None]]
) -> None:
    """Start it with the attributes, or without them if the server does not know them; it is asked once a minute."""
    if _without.get(client, 0) <= time.monotonic():
        try:
            return await start(first_attributes(order))
        except RPCError as error:
            if error.status is not RPCStatusCode.INVALID_ARGUMENT or "search attribute" not in error.message:
                raise
            _without[client] = time.monotonic() + _AGAIN_SECONDS
    return await start(TypedSearchAttributes.empty)


async def find_orders(client: Client, query: str, most: int) -> list[FoundOrder]:
    """Orders that Temporal's list filter finds, newest first. Raises MessageRefused, with what is wrong with it."""
    try:
        listed = client.list_workflows(_of_orders(query), limit=most)
        return [
            FoundOrder(
                OrderId(order_id_of(each.id)),
                each.status.name.lower() if each.status else "running",
                each.typed_search_attributes.get(STATE) or "",
                each.typed_search_attributes.get(POLICY) or "",
            )
            async for each in listed
        ]
    except RPCError as error:
        raise _refused(error) from error


async def count_orders(client: Client, query: str) -> dict[str, int]:
    """How many orders it finds, by their state. Raises MessageRefused, with what is wrong with it."""
    try:
        counts = {
            state.value: (await client.count_workflows(_of_orders(query, f"{STATE.name} = '{state}'"))).count
            for state in SEARCHED_STATES
        }
    except RPCError as error:
        raise _refused(error) from error
    return {state: count for state, count in counts.items() if count}


def _of_orders(*queries: str) -> str:
    return " AND ".join(["WorkflowType = 'OrderWorkflow'", *(f"({query})" for query in queries if query)])


def _refused(error: RPCError) -> Exception:
    if error.status is RPCStatusCode.INVALID_ARGUMENT:
        return MessageRefused(f"Temporal cannot search like that: {error.message}")
    return error
