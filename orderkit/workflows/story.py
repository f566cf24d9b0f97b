"""What an order tells the people who look at it in Temporal's UI, and how its lists find it.

Summaries and details are no part of what replay compares. Search attributes are: they are kept by an order that was
started with them, so neither an old history nor a server that does not know them meets a command it cannot take.
"""

from __future__ import annotations

from temporalio import workflow

from orderkit.core.orders import OrderState
from orderkit.temporal.search import STATE


class Story:
    """Of one order."""

    def __init__(self) -> None:
        self._told: list[str] = []

    def tell(self, what: str) -> None:
        """The current details in the UI: what happened, newest last. No address, no key."""
        self._told.append(f"- {workflow.now():%H:%M:%S} {what}")
        workflow.set_current_details("\n".join(self._told))

    def mark(self, state: OrderState) -> None:
        """The state by which Temporal's lists find it."""
        if workflow.info().typed_search_attributes.get(STATE) is not None:
            workflow.upsert_search_attributes([STATE.value_set(state.value)])
