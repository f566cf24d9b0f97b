"""Lesson 01's workflow that asks the computer's clock: after 18 o'clock nobody packs any more."""

from datetime import datetime

from temporalio import workflow


@workflow.defn
class ImpatientOrder:
    """Decides by the hour whether the order waits."""

    @workflow.run
    async def run(self, order_id: str) -> str:
        """Returns what becomes of the order."""
        if datetime.now().hour >= 18:
            return f"order {order_id} waits until tomorrow"
        return f"order {order_id} is packed today"
