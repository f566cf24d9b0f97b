"""Two activities that some exhibits use instead of ours: whoever calls them must know what is true."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from temporalio import activity

from orderkit.business import flaky_call
from orderkit.core.calls import DispatchResult, StepInput
from orderkit.core.events import STATE_EVENTS, EventType
from orderkit.core.orders import Address, OrderId, OrderState
from orderkit.core.ports import OrderStore
from orderkit.worker.activities import ShippingActivities, current_attempt

NOTE_STATE = "note_state_activity"


@dataclass(frozen=True)
class NoteInput:
    """A state that the workflow believes in."""

    order_id: OrderId
    state: OrderState


@dataclass(frozen=True, kw_only=True)
class LabelInput(StepInput):
    """A dispatch with the address for the label."""

    address: Address


class NoteActivities:
    """Bookkeeping apart from the work, as many shops do it."""

    def __init__(self, orders: OrderStore) -> None:
        self._orders = orders

    @property
    def all(self) -> list[Callable[..., Any]]:
        """For the worker."""
        return [self.note_state]

    @activity.defn(name=NOTE_STATE)
    async def note_state(self, note: NoteInput) -> None:
        """Write the state, with its event."""
        await self._orders.move(note.order_id, note.state, STATE_EVENTS[note.state], {})


class LabelledShipping(ShippingActivities):
    """Dispatch takes the address from its caller instead of the database."""

    @activity.defn(name="dispatch_carrier_activity")
    async def dispatch_carrier(self, call: LabelInput) -> DispatchResult:  # type: ignore[override]
        """Hand the package to the carrier. The input is wider than ours: Temporal decodes by this annotation."""
        business = self._business
        async with flaky_call(current_attempt(call), business.clock):
            tracking = await business.carrier.dispatch(call.order_id, call.order_id, call.address)
            await business.orders.move(
                call.order_id, OrderState.DISPATCHED, EventType.CARRIER_DISPATCHED, {"tracking": tracking}
            )
            return DispatchResult(tracking)
