"""What the business functions need from outside; `orderkit.store` holds the real ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from orderkit.core.calls import Attempt, RefundResult, RefusalInput, StopResult
from orderkit.core.events import AttemptOutcome, EventType
from orderkit.core.messages import Stop, StopKind, UpdateAddress
from orderkit.core.orders import Address, OrderId, OrderInput, OrderState, PaymentId


class OrderStore(Protocol):
    """The order's own records. Every change is one conditional statement with its event in the same transaction."""

    async def create(self, order: OrderInput, started_at: datetime, first_run_id: str = "") -> None:
        """Create the row; the same order again changes nothing.

        Raises OrderConflict for a different one, and OrderExists for one that another workflow has created.
        """

    async def move(self, order_id: OrderId, to: OrderState, event: EventType, payload: dict[str, str]) -> None:
        """Move the order to `to` unless it has been there. Raises StepRefused when its state forbids it."""

    async def open_payment(
        self, order_id: OrderId, payment_id: PaymentId, amount_cents: int, approval: dict[str, str]
    ) -> None:
        """Approve the order, note the payment as pending. Raises StepRefused, or KeyRefused for a foreign id."""

    async def payment_charged(self, order_id: OrderId, payment_id: PaymentId) -> None:
        """Note the payment as charged and move the order on. Raises StepRefused when it was stopped meanwhile."""

    async def payment_declined(self, order_id: OrderId, payment_id: PaymentId, reason: str) -> None:
        """Note the payment as declined."""

    async def payment_voided(self, order_id: OrderId, payment_id: PaymentId, refund: RefundResult) -> None:
        """Note the payment as refunded, or as voided when nothing had gone through."""

    async def address(self, order_id: OrderId) -> tuple[Address, int]:
        """The address and its version. Raises StepRefused once the order is stopped."""

    async def change_address(self, order_id: OrderId, change: UpdateAddress, superseded: int) -> OrderState | None:
        """Change the address before dispatch; None when changed or the same already, else the state that forbids it."""

    async def dispatched(self, order_id: OrderId, address_version: int, tracking: str) -> bool:
        """Pass the point of no return; False when the address changed meanwhile. Raises StepRefused when stopped."""

    async def stop(self, order_id: OrderId, stop: Stop) -> StopResult:
        """Stop the order unless it is dispatched. Raises OrderNotFound without a row."""

    async def note_refusal(self, refusal: RefusalInput, run_id: str, activity_id: str) -> None:
        """Note a refused message; once for each activity."""

    async def state(self, order_id: OrderId) -> OrderState:
        """The order's state; raises OrderNotFound."""

    async def open_orders(self, most: int) -> list[tuple[OrderId, PaymentId, str]]:
        """Orders that have not ended, oldest first: id, payment, workflow id."""

    async def shipment_recalled(self, order_id: OrderId, had_package: bool) -> None:
        """Note once that the carrier was told to give the package back."""

    async def close(self, order_id: OrderId, kind: StopKind, reason: str) -> None:
        """Give a stopped order its final state."""


class PaymentProvider(Protocol):
    """A payment provider's idempotent API. Amounts in cents."""

    async def charge(self, key: PaymentId, order_id: OrderId, amount_cents: int) -> None:
        """Charge once per key. Raises KeyRefused for a voided key, or one used for something else."""

    async def void(self, key: PaymentId, order_id: OrderId) -> RefundResult:
        """Refund what was charged with the key, and refuse all later charges. Safe to repeat."""


class Carrier(Protocol):
    """A carrier's idempotent API."""

    async def dispatch(self, key: str, order_id: OrderId, address: Address) -> str:
        """Take the package, or print a new label; returns the tracking code. Raises KeyRefused after a recall."""

    async def recall(self, key: str, order_id: OrderId) -> bool:
        """Give the package back, refuse it later; True when there was one. Safe to repeat."""


class Workflows(Protocol):
    """What Temporal knows of a workflow."""

    async def status(self, workflow_id: str) -> str:
        """`running`, `completed`, `terminated` …; `missing` when Temporal has no such workflow."""

    async def end_pauses(self, now: datetime) -> None:
        """Unpause the activities whose time altogether was over before `now`, a moment of the server's clock."""


class Clock(Protocol):
    """How long to wait, and how to die; injected so that unit tests neither wait nor die."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    def crash(self) -> None:
        """Kill this process on the spot."""


@dataclass(frozen=True)
class AttemptRecord:
    """One attempt with its Temporal ids; `temporal_attempt` is Temporal's own count, within one run."""

    attempt: Attempt
    temporal_attempt: int
    worker: str
    workflow_id: str
    run_id: str
    activity_id: str


class AttemptLog(Protocol):
    """Where attempts leave their start and their end."""

    async def started(self, record: AttemptRecord, fault: str, limit_seconds: float | None) -> int:
        """Note the start, with the fault that the plan holds for it and its time limit; returns its number."""

    async def ended(self, record: AttemptRecord, outcome: AttemptOutcome, error: str) -> None:
        """Note the end; repeated notes add nothing."""
