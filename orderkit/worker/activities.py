"""The activities: unpack, call the business function, return."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from temporalio import activity

from orderkit.business import Business
from orderkit.core.calls import (
    AddressInput,
    AddressResult,
    Attempt,
    ChargeInput,
    CloseInput,
    DispatchResult,
    OrderStepInput,
    ReconcileInput,
    RefundInput,
    RefundResult,
    RefusalInput,
    StepInput,
    StopInput,
    StopResult,
    StrandedOrder,
)
from orderkit.core.orders import ENDS, Review
from orderkit.core.ports import OrderStore, Workflows
from orderkit.core.steps import ACTIVITY_STEPS, FIND_STRANDED, NOTE_REFUSAL


def current_attempt(step_input: StepInput) -> Attempt:
    """The attempt that is running now."""
    info = activity.info()
    number = info.attempt + step_input.prior_attempts
    return Attempt(step_input.order_id, ACTIVITY_STEPS[info.activity_type], number, step_input.faults)


class NoteActivities:
    """What a workflow of either queue notes beside its steps."""

    def __init__(self, orders: OrderStore) -> None:
        self._orders = orders

    @activity.defn(name=NOTE_REFUSAL)
    async def note_refusal(self, refusal: RefusalInput) -> None:
        """Note a refused message."""
        info = activity.info()
        await self._orders.note_refusal(refusal, info.workflow_run_id or "", info.activity_id)


class OrderActivities:
    """What a worker on `order-tq` can do."""

    def __init__(self, business: Business) -> None:
        self._business = business

    @property
    def all(self) -> list[Callable[..., Any]]:
        """For the worker."""
        return [
            self.receive_order,
            self.validate_order,
            self.manual_review,
            self.charge_payment,
            self.ship_order,
            self.update_address,
            self.stop_order,
            self.recall_shipment,
            self.refund_payment,
            self.close_order,
        ]

    @activity.defn(name="receive_order_activity")
    async def receive_order(self, call: OrderStepInput) -> None:
        """Create the order's row."""
        await self._business.order_received(current_attempt(call), call.order, call.started_at, call.first_run_id)

    @activity.defn(name="validate_order_activity")
    async def validate_order(self, call: OrderStepInput) -> None:
        """Check items, prices and address."""
        await self._business.order_validated(current_attempt(call), call.order)

    @activity.defn(name="manual_review_activity")
    async def manual_review(self, call: OrderStepInput) -> None:
        """Open the review."""
        await self._business.review_opened(current_attempt(call), Review(call.order.review))

    @activity.defn(name="charge_payment_activity")
    async def charge_payment(self, call: ChargeInput) -> None:
        """Charge the customer."""
        await self._business.payment_charged(
            current_attempt(call), call.payment_id, call.amount_cents, call.approved_by, call.note
        )

    @activity.defn(name="ship_order_activity")
    async def ship_order(self, call: StepInput) -> None:
        """Mark the order as shipped."""
        await self._business.order_shipped(current_attempt(call))

    @activity.defn(name="update_address_activity")
    async def update_address(self, call: AddressInput) -> AddressResult:
        """Change the address, unless it is too late."""
        state = await self._business.address_changed(current_attempt(call), call.change, call.superseded)
        if state is None:
            return AddressResult(changed=True)
        return AddressResult(changed=False, reason=f"the order is {state}")

    @activity.defn(name="stop_order_activity")
    async def stop_order(self, call: StopInput) -> StopResult:
        """Stop the order, unless it is too late."""
        return await self._business.order_stopped(
            current_attempt(call), call.order, call.stop, call.started_at, call.first_run_id
        )

    @activity.defn(name="recall_shipment_activity")
    async def recall_shipment(self, call: StepInput) -> None:
        """Compensation of dispatch."""
        await self._business.shipment_recalled(current_attempt(call))

    @activity.defn(name="refund_payment_activity")
    async def refund_payment(self, call: RefundInput) -> RefundResult:
        """Compensation of charge."""
        return await self._business.payment_refunded(current_attempt(call), call.payment_id)

    @activity.defn(name="close_order_activity")
    async def close_order(self, call: CloseInput) -> None:
        """Give a stopped order its end."""
        await self._business.order_closed(current_attempt(call), call.kind, call.reason)


class ShippingActivities:
    """What a worker on `shipping-tq` can do."""

    def __init__(self, business: Business) -> None:
        self._business = business

    @property
    def all(self) -> list[Callable[..., Any]]:
        """For the worker."""
        return [self.prepare_package, self.dispatch_carrier]

    @activity.defn(name="prepare_package_activity")
    async def prepare_package(self, call: StepInput) -> None:
        """Pack the package."""
        await self._business.package_prepared(current_attempt(call))

    @activity.defn(name="dispatch_carrier_activity")
    async def dispatch_carrier(self, call: StepInput) -> DispatchResult:
        """Hand the package to the carrier."""
        return await self._business.carrier_dispatched(current_attempt(call))


class ReconcileActivities:
    """What reconcile needs beyond the order's own activities."""

    def __init__(self, orders: OrderStore, workflows: Workflows) -> None:
        self._orders = orders
        self._workflows = workflows

    @activity.defn(name=FIND_STRANDED)
    async def find_stranded(self, call: ReconcileInput) -> list[StrandedOrder]:
        """Open orders whose workflow is not running. First it ends pauses that have outlived their activity."""
        await self._workflows.end_pauses(activity.info().started_time)
        stranded = []
        for order_id, payment_id, workflow_id in await self._orders.open_orders(10 * call.most):
            status = await self._workflows.status(workflow_id)
            # Most orders that no longer run have ended since they were listed, and are closed.
            if status != "running" and await self._orders.state(order_id) not in ENDS:
                stranded.append(StrandedOrder(order_id, payment_id, status))
        return stranded[: call.most]
