"""The database allows the transitions of core/orders.py and no other, whatever is asked in whatever order."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.shop import Shop

from orderkit.core.calls import RefundResult
from orderkit.core.messages import Stop, StopKind, UpdateAddress
from orderkit.core.orders import (
    DEFAULT_ADDRESS,
    ENDS,
    FORWARD,
    STOPPABLE,
    TRANSITIONS,
    OrderId,
    OrderInput,
    OrderState,
    PaymentId,
    has_reached,
)
from orderkit.errors import KeyRefused, StepRefused
from orderkit.stack.stack import Stack
from orderkit.store.database import Pool, open_pool
from orderkit.store.orders import PostgresOrders
from orderkit.store.world import SimulatedCarrier, SimulatedPaymentProvider

numbers = itertools.count()


class Transitions(RuleBasedStateMachine):
    """A model of one order beside the real row. Every operation may come at any time, and again."""

    pool: Pool
    runner: asyncio.Runner

    @initialize()
    def create(self) -> None:
        self.order = OrderInput(order_id=OrderId(f"state-{next(numbers)}"))
        self.state = OrderState.RECEIVED
        self.charged = self.voided = self.recalled = False
        self.key = PaymentId(f"pay-{self.order.order_id}")
        self.run(lambda orders, _, __: orders.create(self.order, datetime.now(UTC)))

    def run(self, call: object) -> object:
        world = PostgresOrders(self.pool), SimulatedPaymentProvider(self.pool), SimulatedCarrier(self.pool)
        return self.runner.run(call(*world))  # type: ignore[operator]

    def expect(self, to: OrderState, call: object) -> None:
        """The call succeeds where the transition is allowed or was made before; else it is refused."""
        allowed = to in TRANSITIONS[self.state]
        if allowed or has_reached(self.state, to):
            self.run(call)
            self.state = to if allowed else self.state
        else:
            with pytest.raises(StepRefused):
                self.run(call)

    @rule(to=st.sampled_from([OrderState.VALIDATED, OrderState.IN_REVIEW, OrderState.PREPARED, OrderState.SHIPPED]))
    def move(self, to: OrderState) -> None:
        self.expect(to, lambda orders, _, __: orders.move(self.order.order_id, to, f"moved_{to}", {}))

    @rule()
    def open_payment(self) -> None:
        amount = self.order.amount_cents
        fine = OrderState.APPROVED in TRANSITIONS[self.state] or has_reached(self.state, OrderState.APPROVED)
        call = lambda orders, _, __: orders.open_payment(self.order.order_id, self.key, amount, {})  # noqa: E731
        if fine:
            self.run(call)
            if OrderState.APPROVED in TRANSITIONS[self.state]:
                self.state = OrderState.APPROVED
        else:
            with pytest.raises(StepRefused):
                self.run(call)

    @rule()
    def charge(self) -> None:
        call = lambda _, provider, __: provider.charge(self.key, self.order.order_id, self.order.amount_cents)  # noqa: E731
        if self.voided:
            with pytest.raises(KeyRefused):
                self.run(call)
        else:
            self.run(call)
            self.charged = True

    @rule()
    @precondition(lambda self: self.charged)
    def note_charge(self) -> None:
        self.expect(OrderState.CHARGED, lambda orders, _, __: orders.payment_charged(self.order.order_id, self.key))

    @rule()
    @precondition(lambda self: self.state is OrderState.COMPENSATING)
    def void(self) -> None:
        refund = self.run(lambda _, provider, __: provider.void(self.key, self.order.order_id))
        assert isinstance(refund, RefundResult)
        assert refund.refunded_cents == (self.order.amount_cents if self.charged else 0)
        self.voided = True

    @rule()
    @precondition(lambda self: self.state in STOPPABLE | {OrderState.DISPATCHED})
    def dispatch(self) -> None:
        async def call(orders: PostgresOrders, _: object, carrier: SimulatedCarrier) -> None:
            address, version = await orders.address(self.order.order_id)
            tracking = await carrier.dispatch(self.order.order_id, self.order.order_id, address)
            assert await orders.dispatched(self.order.order_id, version, tracking)

        fine = self.state in (OrderState.PREPARED, OrderState.DISPATCHED)
        if fine:
            self.run(call)
            self.state = OrderState.DISPATCHED
        else:
            with pytest.raises(StepRefused):
                self.run(call)

    @rule(street=st.sampled_from(["1 A Street", "2 B Street"]))
    def change_address(self, street: str) -> None:
        change = UpdateAddress(DEFAULT_ADDRESS.__class__(street, "Springfield", "IL", "62701"), "ann")
        refused = self.run(lambda orders, _, __: orders.change_address(self.order.order_id, change, 0))
        if self.state in STOPPABLE:
            assert refused is None
        else:
            assert refused in (None, self.state)

    @rule(kind=st.sampled_from(StopKind))
    def stop(self, kind: StopKind) -> None:
        result = self.run(lambda orders, _, __: orders.stop(self.order.order_id, Stop(kind, "why", "who")))
        assert result.stopped == (not has_reached(self.state, OrderState.DISPATCHED))  # type: ignore[attr-defined]
        if self.state in STOPPABLE:
            self.state, self.kind = OrderState.COMPENSATING, kind

    @rule()
    @precondition(lambda self: self.state is OrderState.COMPENSATING)
    def close(self) -> None:
        self.run(lambda orders, _, __: orders.close(self.order.order_id, self.kind, "why"))
        self.state = OrderState(self.kind)

    @invariant()
    def the_row_is_what_the_model_says(self) -> None:
        if hasattr(self, "order"):
            assert self.run(lambda orders, _, __: orders.state(self.order.order_id)) is self.state


def test_the_database_follows_the_model(servers: Stack) -> None:
    with asyncio.Runner() as runner:
        opened = open_pool(servers.database_url, 1)
        Transitions.pool, Transitions.runner = runner.run(opened.__aenter__()), runner
        try:
            run_state_machine_as_test(
                Transitions,
                settings=settings(
                    max_examples=60, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
                ),
            )
        finally:
            runner.run(opened.__aexit__(None, None, None))


@pytest.mark.parametrize("state", OrderState)
async def test_the_table_knows_every_state_and_no_other(shop: Shop, state: OrderState) -> None:
    async with shop.pool.acquire() as connection:
        definition = await connection.fetchval(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'trellis_orders_state_check'"
        )
    assert f"'{state}'" in definition
    assert definition.count("::text") == len(OrderState)


async def test_an_order_ends_exactly_when_it_is_closed(shop: Shop, order_id: OrderId) -> None:
    orders = PostgresOrders(shop.pool)
    await orders.create(OrderInput(order_id=order_id), datetime.now(UTC))
    assert OrderState.RECEIVED in FORWARD and OrderState.RECEIVED not in ENDS
    with pytest.raises(asyncpg.CheckViolationError):
        await shop.pool.execute("UPDATE trellis_orders SET state = 'shipped' WHERE id = $1", order_id)
