"""Waiting for an attempt that is still on its way when its order has ended."""

from __future__ import annotations

import asyncio

from orderkit.errors import WaitExpired
from orderkit.lab.lab import Lab

_LOOK_SECONDS = 0.1


async def until_answered(lab: Lab, order: str, step: str, within_seconds: float = 15) -> None:
    """Until each attempt of the step has written its end; raises WaitExpired."""
    loop = asyncio.get_running_loop()
    until = loop.time() + within_seconds
    while True:
        attempts = await lab.orders.attempts(order)
        outcomes = attempts[attempts["step"] == step]["outcome"].tolist()
        # Once the order has ended, an attempt without an end counts as lost: nobody knows better yet.
        if outcomes and not {"running", "lost"} & set(outcomes):
            return
        if loop.time() > until:
            had = f"is {', '.join(outcomes)}" if outcomes else "was never tried"
            raise WaitExpired(
                f"{step} of order {order} has not answered within {within_seconds:g} s",
                [f"it {had}; run this round again from its first cell"],
            )
        await asyncio.sleep(_LOOK_SECONDS)
