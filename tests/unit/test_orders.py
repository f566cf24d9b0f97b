"""Orders, states and the deadline's arithmetic."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.converter import DefaultPayloadConverter

from orderkit.core.faults import parse_plan
from orderkit.core.messages import CancelOrder, ReviewDecision, UpdateAddress, check_message
from orderkit.core.orders import (
    DEFAULT_ADDRESS,
    ENDS,
    FORWARD,
    STOPPABLE,
    TRANSITIONS,
    Item,
    OrderId,
    OrderInput,
    OrderState,
    check_order,
    check_order_id,
    has_reached,
    order_workflow_id,
    request_digest,
    shipping_workflow_id,
    sources,
)
from orderkit.core.policies import BUDGET, POLICIES, SPEC, UNTIL_DONE, Deadline, Policy
from orderkit.core.steps import ACTIVITY_STEPS, Step
from orderkit.errors import InvalidOrder

ORDER = OrderInput(order_id=OrderId("o-1"))


def reachable(start: OrderState) -> set[OrderState]:
    seen, todo = set(), [start]
    while todo:
        state = todo.pop()
        if state not in seen:
            seen.add(state)
            todo += TRANSITIONS[state]
    return seen


def test_every_state_is_reachable_and_every_order_can_end() -> None:
    assert reachable(OrderState.RECEIVED) == set(OrderState)
    for state in OrderState:
        assert reachable(state) & ENDS


def test_ends_are_final() -> None:
    assert {state for state in OrderState if not TRANSITIONS[state]} == ENDS


def test_nothing_stops_an_order_once_it_is_dispatched() -> None:
    assert reachable(OrderState.DISPATCHED) == {OrderState.DISPATCHED, OrderState.SHIPPED}
    assert {state for state in OrderState if OrderState.COMPENSATING in TRANSITIONS[state]} == STOPPABLE


@given(st.sampled_from(OrderState))
def test_sources_are_the_transitions_read_backwards(state: OrderState) -> None:
    assert all(state in TRANSITIONS[source] for source in sources(state))
    assert len(sources(state)) == sum(state in targets for targets in TRANSITIONS.values())


@given(st.sampled_from(FORWARD), st.sampled_from(FORWARD))
def test_has_reached_orders_the_forward_path(one: OrderState, other: OrderState) -> None:
    assert has_reached(one, other) or has_reached(other, one)
    assert not has_reached(OrderState.COMPENSATING, one)


def test_the_default_order_is_valid() -> None:
    check_order(ORDER)
    assert ORDER.amount_cents == 50_90
    assert ORDER.payment_key == "pay-o-1"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"order_id": "a/b"}, "order_id"),
        ({"order_id": ""}, "order_id"),
        ({"order_id": "x" * 65}, "order_id"),
        ({"payment_id": "p p"}, "payment_id"),
        ({"items": []}, "items"),
        ({"items": [Item("x")] * 101}, "items"),
        ({"items": [Item("x", 0)]}, "items[0].quantity"),
        ({"items": [Item("x", -1)]}, "items[0].quantity"),
        ({"items": [Item("x", 1, -5)]}, "items[0].unit_price"),
        ({"items": [Item("x", 1, 0)]}, "items[0].unit_price"),
        ({"items": [Item(" ")]}, "items[0].sku"),
        ({"address": replace(DEFAULT_ADDRESS, street=" ")}, "address.street"),
        ({"address": replace(DEFAULT_ADDRESS, street="???")}, "address.street"),
        ({"address": replace(DEFAULT_ADDRESS, city="12")}, "address.city"),
        ({"address": replace(DEFAULT_ADDRESS, street="a\x00b")}, "address.street"),
        ({"address": replace(DEFAULT_ADDRESS, street="x" * 121)}, "address.street"),
        ({"address": replace(DEFAULT_ADDRESS, zip="!!")}, "address.zip"),
        ({"deadline_seconds": 0}, "deadline"),
        ({"deadline_seconds": float("nan")}, "deadline"),
        ({"review_seconds": -1}, "review_seconds"),
        ({"policy": replace(SPEC, factor=0)}, "policy"),
        ({"policy": replace(SPEC, attempt_timeout_seconds={})}, "policy"),
    ],
)
def test_each_problem_is_named(change: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidOrder) as caught:
        check_order(replace(ORDER, **change))  # type: ignore[arg-type]
    assert [problem.field for problem in caught.value.problems] == [field]


@given(st.text(max_size=70))
def test_an_accepted_order_id_is_safe_in_a_url(order_id: str) -> None:
    if not check_order_id(order_id):
        assert not set(order_id) & set("/\\?#% \n\x00")
        assert order_id.strip(".")


def test_the_digest_tells_requests_apart() -> None:
    assert request_digest(ORDER) == request_digest(OrderInput(order_id=OrderId("o-1")))
    assert request_digest(ORDER) != request_digest(replace(ORDER, deadline_seconds=16))


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_the_digest_survives_temporals_converter(policy: Policy) -> None:
    order = replace(ORDER, policy=policy, review_seconds=1, faults=parse_plan("workshop; charge=error", 3))
    converter = DefaultPayloadConverter()
    back = converter.from_payloads(converter.to_payloads([order]), [OrderInput])[0]
    assert request_digest(back) == request_digest(order)


def test_workflow_ids() -> None:
    assert order_workflow_id("7") == "order-7"
    assert [shipping_workflow_id("7", run) for run in (1, 2, 3)] == ["shipping-7", "shipping-7:2", "shipping-7:3"]


def test_messages_say_who() -> None:
    assert check_message(CancelOrder("changed my mind", "ann")) == []
    assert [p.field for p in check_message(CancelOrder("", " "))] == ["cancelled_by"]
    assert [p.field for p in check_message(ReviewDecision("", "x" * 501))] == ["note", "reviewer"]
    assert [p.field for p in check_message(CancelOrder("a\x00b", "ann"))] == ["reason"]
    bad = UpdateAddress(replace(DEFAULT_ADDRESS, city=""), "ann")
    assert [p.field for p in check_message(bad)] == ["address.city"]


def test_spec_is_the_architecture_documents_policy() -> None:
    timeouts = {step: SPEC.timeout_seconds(step) for step in SPEC.attempt_timeout_seconds for step in [Step(step)]}
    assert timeouts == {"receive": 3, "validate": 3, "review": 2, "charge": 3, "prepare": 2, "dispatch": 2}
    assert [SPEC.wait_seconds(n) for n in range(1, 7)] == [1, 2, 4, 8, 10, 10]
    assert SPEC.max_attempts == 3
    # A step that only errors fails for good after the waits between its three attempts.
    assert 3 <= sum(SPEC.wait_seconds(n) for n in (1, 2)) <= 5


def test_every_step_has_a_time_limit() -> None:
    for policy in POLICIES.values():
        assert set(policy.attempt_timeout_seconds) | set(UNTIL_DONE.attempt_timeout_seconds) == set(Step)
    assert set(ACTIVITY_STEPS.values()) == set(Step)
    assert BUDGET.max_attempts == UNTIL_DONE.max_attempts == 0


def test_what_must_happen_gets_more_time_when_it_does_not_happen() -> None:
    limits = [UNTIL_DONE.timeout_seconds(Step.REFUND, attempt) for attempt in (1, 20, 21, 41, 101, 121, 10_000)]
    assert limits == [0.2, 0.2, 0.4, 0.8, 6.4, 10, 10]
    assert UNTIL_DONE.timeout_seconds(Step.CLOSE, 61) == 10
    assert BUDGET.timeout_seconds(Step.CHARGE, 10_000) == 0.25


@given(st.floats(1, 86_400), st.floats(0, 100_000))
def test_the_reserve_is_part_of_the_deadline(total: float, elapsed: float) -> None:
    deadline = Deadline(total)
    assert 0 < deadline.reserve_seconds < total
    assert deadline.forward_seconds + deadline.reserve_seconds == pytest.approx(total)
    assert 0 <= deadline.forward_left_seconds(elapsed) <= deadline.left_seconds(elapsed) <= total
