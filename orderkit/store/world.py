"""The outside world's own idempotent API: a payment provider and a carrier with ledgers that we cannot edit."""

from __future__ import annotations

import hashlib
from dataclasses import asdict

from orderkit.core.calls import RefundResult
from orderkit.core.orders import Address, OrderId, PaymentId
from orderkit.errors import KeyRefused
from orderkit.store.database import Pool
from orderkit.store.queries import queries
from orderkit.store.rows import to_amount, to_cents


class SimulatedPaymentProvider:
    """The PaymentProvider port: charges once per key; a voided key is refused for ever."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def charge(self, key: PaymentId, order_id: OrderId, amount_cents: int) -> None:
        """Charge once per key. Raises KeyRefused for a voided key, or one used for something else."""
        request = {"key": key, "order_id": order_id, "amount": to_amount(amount_cents)}
        row = await queries.provider_charge(self._pool, **request)
        if row is None:
            row = await queries.provider_charge_again(self._pool, **request)
        if row["voided_at"] is not None:
            raise KeyRefused("the payment provider refused the charge: its key is voided")
        if row["order_id"] != order_id or to_cents(row["amount"]) != amount_cents:
            raise KeyRefused("the payment provider refused the charge: its key was used for something else")

    async def void(self, key: PaymentId, order_id: OrderId) -> RefundResult:
        """Refund what went through under the key; refuse whatever comes later. Safe to repeat."""
        row = await queries.provider_void(self._pool, key=key, order_id=order_id)
        if row is None:
            row = await queries.provider_void_again(self._pool, key=key, order_id=order_id)
        if row is None or not row["charged"]:
            return RefundResult(charged_cents=0, refunded_cents=0)
        cents = to_cents(row["amount"])
        return RefundResult(charged_cents=cents, refunded_cents=cents)


class SimulatedCarrier:
    """The Carrier port: one package per key, a new label for a new address, refusal after a recall."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def dispatch(self, key: str, order_id: OrderId, address: Address) -> str:
        """Take the package, or print a new label; returns the tracking code. Raises KeyRefused after a recall."""
        tracking = "TRK" + hashlib.sha256(key.encode()).hexdigest()[:9].upper()
        request = {"key": key, "order_id": order_id, "label": asdict(address)}
        row = await queries.carrier_dispatch(self._pool, tracking=tracking, **request)
        if row is None:
            row = await queries.carrier_dispatch_again(self._pool, **request)
        if row["recalled_at"] is not None:
            raise KeyRefused("the carrier refused the package: it was recalled")
        return tracking

    async def recall(self, key: str, order_id: OrderId) -> bool:
        """Give the package back, refuse it later; True when there was one. Safe to repeat."""
        row = await queries.carrier_recall(self._pool, key=key, order_id=order_id)
        if row is None:
            row = await queries.carrier_recall_again(self._pool, key=key)
        return bool(row["dispatched"])
