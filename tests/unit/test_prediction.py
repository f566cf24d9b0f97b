"""Predictions: computed and simulated ones agree with each other, with hand-made cases, and with the benchmarks."""

from math import inf, isclose

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderkit.analysis.assumptions import Assumptions, measured_overheads
from orderkit.analysis.comparison import COMPARISON, compare, interval
from orderkit.analysis.grid import Grid
from orderkit.analysis.prediction import Prediction, predict, predict_by_simulation, standard_error
from orderkit.analysis.simulation import SimulatedOrder, simulate_order, simulate_orders
from orderkit.core.faults import FaultPlan, Scenario, decide, parse_plan
from orderkit.core.policies import BUDGET, SPEC, UNTIL_DONE, Policy
from orderkit.core.steps import FORWARD_STEPS, Step
from orderkit.store.measurements import Gap

ORIGINAL = FaultPlan(Scenario.ORIGINAL)
ORDERS = 1_000

# The model behind the table in the benchmarks: five flaky steps, no reserve, one shipping run, 50 ms an attempt.
STEP, RETRY = Assumptions.overhead_seconds, Assumptions.retry_overhead_seconds
TABLE = Assumptions(
    reserve_seconds=0,
    overhead_seconds=0.05,
    retry_overhead_seconds=0.05,
    ships_again=False,
    steps=tuple(step for step in FORWARD_STEPS if step is not Step.SHIP),
)


def constant(timeout_seconds: float, factor: float = 1) -> Policy:
    return Policy("constant", dict.fromkeys(FORWARD_STEPS, timeout_seconds), 0.05, factor, 1e9 if factor > 1 else 0.05)


@pytest.mark.parametrize(
    ("policy", "share", "digit"),
    [
        (SPEC, 0.119, 0.001),
        (constant(3), 0.40, 0.01),
        (constant(1), 0.942, 0.001),
        (constant(0.5), 0.9989, 0.0002),
        (constant(0.25), 1.000, 0.001),
        (constant(0.25, factor=1.5), 0.949, 0.001),
    ],
)
def test_the_benchmarks_table_is_found_again(policy: Policy, share: float, digit: float) -> None:
    assert predict(ORIGINAL, policy, TABLE).shipped_within_deadline == pytest.approx(share, abs=digit)


def test_given_enough_time_spec_ships_one_in_six() -> None:
    patient = Assumptions(**{**vars(TABLE), "deadline_seconds": 60})
    prediction = predict(ORIGINAL, SPEC, patient)
    assert prediction.outcomes["shipped"] == pytest.approx((1 - 0.67**3) ** 5, abs=1e-6)
    assert prediction.mean_shipped_seconds == pytest.approx(12, abs=0.3)


@pytest.mark.parametrize("policy", [SPEC, BUDGET], ids=lambda policy: policy.name)
@pytest.mark.parametrize("scenario", [Scenario.WORKSHOP, Scenario.ORIGINAL, Scenario.STORM])
def test_the_computed_and_the_simulated_agree(scenario: Scenario, policy: Policy) -> None:
    faults = FaultPlan(scenario, seed=11)
    exact, drawn = predict(faults, policy), predict_by_simulation(faults, policy, orders=ORDERS)
    assert abs(exact.shipped_within_deadline - drawn.shipped_within_deadline) < 4 * drawn.standard_error
    assert abs(exact.decided_within_deadline - drawn.decided_within_deadline) < 4 * drawn.standard_error
    # Kolmogorov and Smirnov: one sample in a thousand is farther away than this.
    moments = np.arange(0.005, 15, 0.05)
    for column in ("probability", "shipped"):
        assert np.abs(at(exact, column, moments) - at(drawn, column, moments)).max() < 1.95 / ORDERS**0.5


def at(prediction: Prediction, column: str, moments: np.ndarray) -> np.ndarray:
    """The curve's steps at some moments."""
    places = np.searchsorted(prediction.curve["seconds"].to_numpy() - 1e-6, moments, side="right")
    return np.concatenate([[0.0], prediction.curve[column].to_numpy()])[places]


# slow(200) and slow(255) are late under the limits of ship and of `budget`, but not later than a next attempt can act.
faults = st.sampled_from(["ok", "error", "error_after", "hang", "hang_after", "slow(200)", "slow(255)", "crash"])
scripts = st.dictionaries(st.sampled_from(FORWARD_STEPS), st.lists(faults, min_size=1, max_size=7), max_size=4)


@settings(max_examples=25, deadline=None)
@given(scripts, st.sampled_from([SPEC, BUDGET]))
def test_a_script_leaves_nothing_to_chance(script: dict[Step, list[str]], policy: Policy) -> None:
    ship = ["slow(200)" if fate == "slow(255)" else fate for fate in script.get(Step.SHIP, [])]
    plan = FaultPlan(script={step.value: list(fates) for step, fates in (script | {Step.SHIP: ship}).items()})
    order, prediction = simulate_order("any", plan, policy), predict(plan, policy)
    assert order.outcome is not None
    assert prediction.outcomes == {order.outcome.value: pytest.approx(1)}
    assert prediction.mean_seconds == pytest.approx(order.seconds, abs=0.005)


def trace(order: SimulatedOrder, step: Step) -> list[tuple[int, str]]:
    return [(each.attempt, each.outcome) for each in order.attempts if each.step is step]


def test_an_order_is_simulated_attempt_by_attempt() -> None:
    order = simulate_order("o", parse_plan("charge=error,hang,ok"), SPEC)
    assert trace(order, Step.CHARGE) == [(1, "failed"), (2, "timed_out"), (3, "completed")]
    # Seven steps and two retries; the review's 2 s; waits of 1 s and 2 s; the hang's 3 s.
    assert (order.outcome, order.seconds) == ("shipped", pytest.approx(7 * STEP + 2 * RETRY + 2 + 1 + 2 + 3))


def test_another_shipping_run_repeats_prepare_and_continues_dispatch() -> None:
    plan = parse_plan("prepare=error; dispatch=error,error,error,ok")
    order, prediction = simulate_order("o", plan, SPEC), predict(plan, SPEC)
    assert order.outcome == "shipped"
    assert prediction.outcomes == {"shipped": pytest.approx(1)}
    assert prediction.mean_seconds == pytest.approx(order.seconds)
    assert [number for number, _ in trace(order, Step.PREPARE)] == [1, 2, 1, 2]
    assert [number for number, _ in trace(order, Step.DISPATCH)] == [1, 2, 3, 4]
    assert [each.shipping_run for each in order.attempts if each.step is Step.DISPATCH] == [1, 1, 1, 2]


def test_an_order_that_the_carrier_has_is_shipped_even_when_the_answer_never_comes() -> None:
    hangs = ",".join(["hang"] * 60)
    kept = simulate_order("o", parse_plan(f"dispatch=hang_after,{hangs}"), BUDGET)
    assert (kept.outcome, kept.seconds) == ("shipped", pytest.approx(11 + 2 * STEP))
    cut_off = f"prepare=slow(150); dispatch=hang,{hangs}"  # so that an attempt is under way at 11 s, not a wait
    undone = simulate_order("o", parse_plan(cut_off), BUDGET)
    assert (undone.outcome, undone.seconds) == ("failed", pytest.approx(11 + 4 * STEP))
    for order, script in ((kept, f"dispatch=hang_after,{hangs}"), (undone, cut_off)):
        assert predict(parse_plan(script), BUDGET).mean_seconds == pytest.approx(order.seconds)
    assert trace(undone, Step.DISPATCH)[-1][1] == "cancelled"
    assert [each.step for each in undone.attempts[-4:]] == [Step.STOP, Step.RECALL, Step.REFUND, Step.CLOSE]


def test_only_what_was_begun_is_undone() -> None:
    order = simulate_order("o", parse_plan("validate=error,error,error"), SPEC)
    assert order.outcome == "failed"
    assert [each.step for each in order.attempts[-2:]] == [Step.STOP, Step.CLOSE]


def test_a_declined_card_rejects_and_another_refusal_fails() -> None:
    assert simulate_order("o", parse_plan("charge=decline"), BUDGET).outcome == "rejected"
    assert simulate_order("o", parse_plan("prepare=decline"), BUDGET).outcome == "failed"
    assert predict(parse_plan("charge=error,decline"), SPEC).outcomes == {"rejected": pytest.approx(1)}


def test_the_simulation_draws_what_the_workers_draw() -> None:
    plan = FaultPlan(Scenario.STORM, seed=5)
    for each in simulate_order("an-order", plan, SPEC).attempts:
        assert each.fault == decide(plan, "an-order", each.step, each.attempt)


def test_many_orders_are_a_line_each() -> None:
    drawn = simulate_orders(["a", "b"], FaultPlan(), SPEC)
    assert list(drawn.columns) == ["order_id", "state", "duration_seconds", "attempts"]
    assert list(drawn["attempts"]) == [7, 7]


def test_budget_reaches_its_target_and_spec_is_far_from_it() -> None:
    budget, spec = predict(ORIGINAL, BUDGET), predict(ORIGINAL, SPEC)
    assert budget.shipped_within_deadline > 0.999
    assert budget.decided_within_deadline > 0.9999
    assert budget.mean_seconds < 6
    assert spec.shipped_within_deadline < 0.12
    assert spec.decided_within_deadline > 0.998


def test_quantiles_and_curve_say_the_same() -> None:
    prediction = predict(ORIGINAL, BUDGET)
    assert list(prediction.curve.dtypes) == [np.dtype("float64")] * 3
    assert prediction.curve["probability"].is_monotonic_increasing
    median = prediction.quantiles[0.5]
    assert at(prediction, "probability", np.array([median - 0.02, median + 0.005])).round(1).tolist() == [0.5, 0.5]
    assert predict(ORIGINAL, SPEC, Assumptions(deadline_seconds=1)).quantiles[0.999] < inf


def test_a_long_deadline_gets_a_coarser_grid_and_keeps_the_mean() -> None:
    hour = predict(parse_plan("charge=error,error"), SPEC, Assumptions(deadline_seconds=3600))
    assert hour.mean_seconds == pytest.approx(2 + 1 + 2 + 7 * STEP + 2 * RETRY, abs=1e-6)
    assert "0.905" in hour.method


def test_between_two_moments_of_the_grid_the_mean_is_kept() -> None:
    grid = Grid(0.1, 100)
    mass = grid.later(grid.later(grid.at(0), 0.03), 1.234)
    assert isclose(float(mass @ (np.arange(100) * 0.1)), 1.264)
    assert mass.sum() == pytest.approx(1)


def test_what_must_happen_has_no_last_attempt() -> None:
    assert UNTIL_DONE.max_attempts == 0


def test_intervals_are_wilsons() -> None:
    assert interval(0, 100) == (0, pytest.approx(0.037, abs=0.001))
    assert interval(50, 100) == (pytest.approx(0.404, abs=0.001), pytest.approx(0.596, abs=0.001))
    assert interval(1000, 1000) == (pytest.approx(0.996, abs=0.001), 1)
    assert standard_error(1000, 1000) > 0


def test_open_orders_count_as_missed() -> None:
    summaries = pd.DataFrame(
        {
            "policy": ["spec"] * 4,
            "state": ["shipped", "failed", "shipped", "charged"],
            "within_deadline": pd.array([True, True, False, None], dtype="boolean"),
        }
    )
    table = compare({"spec": predict(FaultPlan(), SPEC), "budget": predict(FaultPlan(), BUDGET)}, summaries)
    assert list(table.columns) == list(COMPARISON)
    assert table["measured"].tolist() == [0.25, 0.5]
    assert table["predicted"].tolist() == [pytest.approx(1)] * 2


def test_overheads_are_what_the_faults_and_the_policy_do_not_explain() -> None:
    gaps = [
        Gap("charge", "completed", 3, 10, 0.12),
        Gap("validate", "completed", 1, 30, 0.08),
        Gap("review", "completed", 1, 40, 2.1),  # holds the review timer
        Gap("charge", "failed", 1, 10, 1.01),  # after a wait of 1 s
        Gap("charge", "timed_out", 2, 10, 5.03),  # after a limit of 3 s and a wait of 2 s
        Gap("refund", "failed", 1, 10, 9.0),  # tried until done, by another policy
    ]
    assert measured_overheads(gaps, SPEC) == (pytest.approx(0.09), pytest.approx(0.02))
    assert measured_overheads([], SPEC) == (STEP, RETRY)
