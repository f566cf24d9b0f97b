"""Fault plans: deterministic, exact, and clear about what they do not understand."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderkit.business import flaky_call
from orderkit.core.calls import Attempt
from orderkit.core.faults import (
    HANG_SECONDS,
    SCENARIOS,
    Fault,
    FaultKind,
    FaultPlan,
    Scenario,
    decide,
    parse_fault,
    parse_plan,
)
from orderkit.core.orders import OrderId
from orderkit.core.steps import SCENARIO_STEPS, Step
from orderkit.errors import Declined, InjectedError, InvalidFaultPlan

scenarios = st.sampled_from(Scenario)
steps = st.sampled_from(Step)


@given(scenarios, st.integers(), st.text(max_size=20), steps, st.integers(1, 50))
def test_the_same_arguments_give_the_same_fault(
    scenario: Scenario, seed: int, order_id: str, step: Step, attempt: int
) -> None:
    plan = FaultPlan(scenario, seed)
    assert decide(plan, order_id, step, attempt) == decide(FaultPlan(scenario, seed), order_id, step, attempt)


def test_decisions_never_change_between_releases() -> None:
    drawn = [str(decide(FaultPlan(Scenario.STORM, 7), "order-1", Step.CHARGE, n)) for n in range(1, 9)]
    assert drawn == GOLDEN


GOLDEN = ["hang_after", "ok", "ok", "slow(200)", "slow(200)", "error", "ok", "ok"]


def test_original_is_33_percent_error_34_percent_hang_and_nothing_else() -> None:
    assert SCENARIOS[Scenario.ORIGINAL] == ((33, Fault(FaultKind.ERROR)), (34, Fault(FaultKind.HANG)))
    plan = FaultPlan(Scenario.ORIGINAL, 1)
    number = 60_000
    drawn = Counter(decide(plan, f"o{n}", Step.CHARGE, 1).kind for n in range(number))
    assert set(drawn) == {FaultKind.ERROR, FaultKind.HANG, FaultKind.OK}
    # Four standard errors of a binomial share are below 0.8 percentage points here.
    assert abs(drawn[FaultKind.ERROR] / number - 0.33) < 0.008
    assert abs(drawn[FaultKind.HANG] / number - 0.34) < 0.008


@pytest.mark.parametrize("scenario", Scenario)
def test_percentages_leave_room_for_success(scenario: Scenario) -> None:
    assert 0 <= sum(percent for percent, _ in SCENARIOS[scenario]) < 100


@given(steps, st.integers(1, 10))
def test_calm_is_calm(step: Step, attempt: int) -> None:
    assert decide(FaultPlan(), "o", step, attempt).kind is FaultKind.OK


@given(st.sampled_from(sorted(set(Step) - SCENARIO_STEPS)), st.integers(1, 10))
def test_a_scenario_never_strikes_our_own_bookkeeping(step: Step, attempt: int) -> None:
    assert decide(FaultPlan(Scenario.STORM, 3), "o", step, attempt).kind is FaultKind.OK


def test_a_script_decides_attempt_by_attempt_then_the_scenario_does() -> None:
    plan = parse_plan("charge=error,slow(250),ok; close=hang")
    fates = [str(decide(plan, "o", Step.CHARGE, n)) for n in range(1, 5)]
    assert fates == ["error", "slow(250)", "ok", "ok"]
    assert decide(plan, "o", Step.CLOSE, 1).kind is FaultKind.HANG


@pytest.mark.parametrize(
    "text",
    [
        "tempest",
        "refund=decline",
        "charge",
        "charge=explode",
        "charge=slow",
        "charge=error(3)",
        "paint=error",
        "calm; x",
        "=error",
        "charge=",
    ],
)
def test_what_is_not_understood_is_refused_with_the_choices(text: str) -> None:
    with pytest.raises(InvalidFaultPlan, match=r"tried until done|use one of|write step=fault|only slow"):
        parse_plan(text)


@given(st.sampled_from([kind for kind in FaultKind if kind is not FaultKind.SLOW]))
def test_faults_read_back_as_written(kind: FaultKind) -> None:
    assert parse_fault(str(Fault(kind))) == Fault(kind)


class Watched:
    """A clock that neither waits nor dies, and notes what it was asked."""

    def __init__(self) -> None:
        self.log: list[str] = []

    async def sleep(self, seconds: float) -> None:
        self.log.append(f"sleep {seconds:g}")

    def crash(self) -> None:
        self.log.append("crash")


async def play(fault: str) -> tuple[list[str], str]:
    clock = Watched()
    attempt = Attempt(OrderId("o"), Step.CHARGE, 1, parse_plan(f"charge={fault}"))
    try:
        async with flaky_call(attempt, clock):
            clock.log.append("effect")
    except (InjectedError, Declined) as error:
        return clock.log, type(error).__name__
    return clock.log, "ok"


@pytest.mark.parametrize(
    ("fault", "log", "outcome"),
    [
        ("ok", ["effect"], "ok"),
        ("error", [], "InjectedError"),
        ("error_after", ["effect"], "InjectedError"),
        ("hang", [f"sleep {HANG_SECONDS:g}"], "InjectedError"),
        ("hang_after", ["effect", f"sleep {HANG_SECONDS:g}"], "InjectedError"),
        ("slow(250)", ["sleep 0.25", "effect"], "ok"),
        ("decline", [], "Declined"),
        ("crash", ["crash", "effect"], "ok"),
        ("crash_after", ["effect", "crash"], "ok"),
    ],
)
def test_each_kind_strikes_before_or_after_the_effect(fault: str, log: list[str], outcome: str) -> None:
    assert asyncio.run(play(fault)) == (log, outcome)
