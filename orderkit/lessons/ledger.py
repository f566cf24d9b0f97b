"""Waiting for what the outside world writes down, also after an order has ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from orderkit.errors import WaitExpired
from orderkit.lessons.checks import Bench

if TYPE_CHECKING:
    import pandas as pd

_LOOK_SECONDS = 0.1


async def until_ledger_has(lab: Bench, order: str, kind: str, within_seconds: float = 15) -> pd.DataFrame:
    """The order's ledger once it has an entry of that kind; raises WaitExpired."""
    loop = asyncio.get_running_loop()
    until = loop.time() + within_seconds
    while True:
        ledger = await lab.orders.ledger(order)
        if kind in set(ledger["kind"]):
            return ledger
        if loop.time() > until:
            has = ", ".join(ledger["kind"]) or "nothing"
            raise WaitExpired(
                f"the ledger of order {order} has no {kind} within {within_seconds:g} s",
                [f"it has {has}; run the cells of this round again, from its first one"],
            )
        await asyncio.sleep(_LOOK_SECONDS)
