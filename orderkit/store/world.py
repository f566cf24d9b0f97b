"""The outside world's own idempotent API: a payment provider and a carrier with ledgers that we cannot edit."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from orderkit.core.calls import RefundResult
from orderkit.core.orders import Address, OrderId, PaymentId
from orderkit.core.world import SLOW_SECONDS, TITLES, Service, ServiceState
from orderkit.errors import Declined, KeyRefused, ServiceDown
from orderkit.store.database import Pool
from orderkit.store.queries import queries
from orderkit.store.rows import to_amount, to_cents

Sleep = Callable[[float], Awaitable[None]]


async def set_switch(pool: Pool, service: Service, state: ServiceState) -> None:
    """Let a service be in this state from now on, for every process; the change is a row of world.switches."""
    await queries.set_switch(pool, service=service, state=state)


async def read_switches(pool: Pool) -> dict[Service, ServiceState]:
    """The state of each service."""
    known = {Service(row["service"]): ServiceState(row["state"]) async for row in queries.switches(pool)}
    return dict.fromkeys(Service, ServiceState.UP) | known


async def _answer(service: Service, row: Mapping[str, Any], sleep: Sleep) -> bool:
    """Wait as the switch says; returns whether the request was new. Raises ServiceDown."""
    match row["switch"]:
        case ServiceState.SLOW:
            await sleep(SLOW_SECONDS)
        case ServiceState.DOWN:
            raise ServiceDown(f"{TITLES[service]} does not answer")
        case _:
            pass
    return row["key"] is not None


class SimulatedPaymentProvider:
    """The PaymentProvider port: charges once per key; a voided key is always refused. Obeys its switch."""

    def __init__(self, pool: Pool, sleep: Sleep = asyncio.sleep) -> None:
        self._pool = pool
        self._sleep = sleep

    async def charge(self, key: PaymentId, order_id: OrderId, amount_cents: int) -> None:
        """Charge once per key. Raises KeyRefused for a voided key, or one used for something else."""
        request = {"key": key, "order_id": order_id, "amount": to_amount(amount_cents)}
        row = await queries.provider_charge(self._pool, **request)
        if not await _answer(Service.PAYMENTS, row, self._sleep):
            row = await queries.provider_charge_again(self._pool, **request)
        if row is None:
            raise Declined("the payment provider declines every new charge")
        if row["voided_at"] is not None:
            raise KeyRefused("the payment provider refused the charge: its key is voided")
        if row["order_id"] != order_id or to_cents(row["amount"]) != amount_cents:
            raise KeyRefused("the payment provider refused the charge: its key was used for something else")

    async def void(self, key: PaymentId, order_id: OrderId) -> RefundResult:
        """Refund what was charged with the key, and refuse all later charges. Safe to repeat."""
        row = await queries.provider_void(self._pool, key=key, order_id=order_id)
        if not await _answer(Service.PAYMENTS, row, self._sleep):
            row = await queries.provider_void_again(self._pool, key=key, order_id=order_id)
        if row is None or not row["charged"]:
            return RefundResult(charged_cents=0, refunded_cents=0)
        cents = to_cents(row["amount"])
        return RefundResult(charged_cents=cents, refunded_cents=cents)


class SimulatedCarrier:
    """The Carrier port: a package per key, a new label for a new address, refusal after a recall. Obeys its switch."""

    def __init__(self, pool: Pool, sleep: Sleep = asyncio.sleep) -> None:
        self._pool = pool
        self._sleep = sleep

    async def dispatch(self, key: str, order_id: OrderId, address: Address) -> str:
        """Take the package, or print a new label; returns the tracking code. Raises KeyRefused after a recall."""
        tracking = "TRK" + hashlib.sha256(key.encode()).hexdigest()[:9].upper()
        request = {"key": key, "order_id": order_id, "label": asdict(address)}
        row = await queries.carrier_dispatch(self._pool, tracking=tracking, **request)
        if not await _answer(Service.CARRIER, row, self._sleep):
            row = await queries.carrier_dispatch_again(self._pool, **request)
        if row is None:
            raise Declined("the carrier declines every new package")
        if row["recalled_at"] is not None:
            raise KeyRefused("the carrier refused the package: it was recalled")
        return tracking

    async def recall(self, key: str, order_id: OrderId) -> bool:
        """Give the package back, refuse it later; True when there was one. Safe to repeat."""
        row = await queries.carrier_recall(self._pool, key=key, order_id=order_id)
        if not await _answer(Service.CARRIER, row, self._sleep):
            row = await queries.carrier_recall_again(self._pool, key=key)
        return bool(row["dispatched"])
