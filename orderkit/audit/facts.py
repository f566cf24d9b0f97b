"""What the auditor looks at: plain facts about one order from three independent sources."""

from __future__ import annotations

from dataclasses import dataclass, field

from orderkit.core.orders import OrderState


@dataclass(frozen=True)
class EventFact:
    """A row of trellis_events; the ids are None for domain events."""

    type: str
    step: str | None
    attempt: int | None
    outcome: str | None
    run_id: str | None
    activity_id: str | None
    reset: bool = False  # an attempt that started after a person reset its activity, so Temporal counts from 1 again


@dataclass(frozen=True)
class MoneyFact:
    """A line of the payment provider's ledger; refunds are negative."""

    key: str
    kind: str
    cents: int


@dataclass(frozen=True)
class ShipmentFact:
    """What the carrier holds under one key; `out` means taken and not given back."""

    key: str
    out: bool
    label: dict[str, str] | None


@dataclass(frozen=True)
class PaymentFact:
    """A row of trellis_payments."""

    payment_id: str
    status: str
    cents: int


@dataclass(frozen=True)
class ActivityFact:
    """An activity in Temporal's history: its attempts and its end (`open` before it, `by_hand` by a person)."""

    run_id: str
    activity_id: str
    step: str
    attempts: int
    outcome: str


@dataclass(frozen=True)
class HistoryFact:
    """A closed or running workflow in Temporal; `status` is Temporal's name of it, in lower case."""

    status: str
    outcome: str | None
    activities: list[ActivityFact] = field(default_factory=list)
    failing: str = ""  # the error and the line of a workflow task that fails; empty where none does


@dataclass(frozen=True)
class OrderFacts:
    """Everything known about one order. `history` is None when Temporal has none (any more)."""

    order_id: str
    state: OrderState
    amount_cents: int
    address: dict[str, str]
    age_seconds: float
    closed_since_seconds: float | None
    deadline_seconds: float
    payments: list[PaymentFact]
    events: list[EventFact]
    money: list[MoneyFact]
    shipments: list[ShipmentFact]
    history: HistoryFact | None

    @property
    def balance_cents(self) -> int:
        """What the customer has paid, less what came back."""
        return sum(line.cents for line in self.money if line.kind in ("charge", "refund"))

    @property
    def charges(self) -> int:
        """How often the customer was charged."""
        return sum(line.kind == "charge" for line in self.money)

    @property
    def packages_out(self) -> int:
        """How many packages the carrier has."""
        return sum(shipment.out for shipment in self.shipments)
