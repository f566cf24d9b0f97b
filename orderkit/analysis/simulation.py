"""What becomes of one given order: its fault plan holds every fate, so that only the times are assumed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd

from orderkit.analysis.assumptions import Assumptions, attempt_cost, outcome_of, policy_of
from orderkit.core.faults import Fault, FaultPlan, decide
from orderkit.core.orders import OrderState
from orderkit.core.policies import UNTIL_DONE, Policy
from orderkit.core.steps import Step

NEVER = float("inf")
DEFAULT = Assumptions()
TOLERANCE = 1e-9  # of comparing sums of floats


@dataclass(frozen=True)
class SimulatedAttempt:
    """One attempt; seconds since the order's start. `outcome` is as in the view trellis_attempts."""

    step: Step
    attempt: int
    shipping_run: int  # 0 outside of the child workflow
    fault: Fault
    outcome: str
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True)
class SimulatedOrder:
    """How an order will end, and when its row says so."""

    order_id: str
    outcome: OrderState | None  # None: it never ends
    seconds: float
    attempts: tuple[SimulatedAttempt, ...] = field(repr=False)


def simulate_order(
    order_id: str, faults: FaultPlan, policy: Policy, assumptions: Assumptions = DEFAULT
) -> SimulatedOrder:
    """The end of this very order, left alone: no person, no kill, no queue."""
    simulation = _Simulation(order_id, faults, policy, assumptions)
    outcome, seconds = simulation.end()
    return SimulatedOrder(order_id, None if seconds == NEVER else outcome, seconds, tuple(simulation.attempts))


def simulate_orders(
    order_ids: Iterable[str], faults: FaultPlan, policy: Policy, assumptions: Assumptions = DEFAULT
) -> pd.DataFrame:
    """One line an order: order_id str, state str ("": never ends), duration_seconds float64, attempts int64."""
    orders = [simulate_order(order_id, faults, policy, assumptions) for order_id in order_ids]
    return pd.DataFrame(
        {
            "order_id": pd.Series([order.order_id for order in orders], dtype="str"),
            "state": pd.Series([order.outcome or "" for order in orders], dtype="str"),
            "duration_seconds": pd.Series([order.seconds for order in orders], dtype="float64"),
            "attempts": pd.Series([len(order.attempts) for order in orders], dtype="int64"),
        }
    )


@dataclass
class _Result:
    """A step's attempts: when they are over, whether well, and when the first side effect happened."""

    ends: float
    completed: bool
    declined: bool = False
    attempts: int = 0
    effect: float = NEVER


class _Stopped(Exception):
    """The forward path is over without success."""

    def __init__(self, at: float, state: OrderState = OrderState.FAILED) -> None:
        super().__init__()
        self.at = at
        self.state = state


class _Simulation:
    """One order, step by step, as orderkit/workflows/order.py and shipping.py run it."""

    def __init__(self, order_id: str, faults: FaultPlan, policy: Policy, assumptions: Assumptions) -> None:
        self._order_id = order_id
        self._faults = faults
        self._policy = policy
        self._assumptions = assumptions
        self._limit = assumptions.forward_seconds
        self._undo: list[Step] = []
        self._dispatched = NEVER
        self.attempts: list[SimulatedAttempt] = []

    def end(self) -> tuple[OrderState, float]:
        """The order's end, and when the database knew it."""
        try:
            now = self._go_forward()
        except _Stopped as stopped:
            decided = self._step(Step.STOP, stopped.at)
            if self._dispatched <= stopped.at + TOLERANCE:
                return OrderState.SHIPPED, self._ship(decided.ends).effect
            now = decided.ends
            while self._undo:
                now = self._step(self._undo.pop(), now).ends
            return stopped.state, self._step(Step.CLOSE, now).effect
        return OrderState.SHIPPED, self._ship(now).effect

    def _go_forward(self) -> float:
        now = 0.0
        for step in self._assumptions.steps:
            if step is Step.PREPARE:
                break
            if step is Step.CHARGE:
                self._undo.append(Step.REFUND)
            now = self._forward(step, now).ends
            if step is Step.REVIEW:
                now = self._in_time(now + self._assumptions.review_seconds)
        self._undo.append(Step.RECALL)
        return self._shipping(now)

    def _forward(self, step: Step, now: float, run: int = 0) -> _Result:
        result = self._step(step, now, run=run, until=self._limit)
        self._in_time(result.ends)
        if not result.completed:
            rejected = result.declined and step is Step.CHARGE
            raise _Stopped(result.ends, OrderState.REJECTED if rejected else OrderState.FAILED)
        return result

    def _shipping(self, now: float) -> float:
        run, prior_attempts = 1, 0
        while True:
            now = self._forward(Step.PREPARE, now, run).ends
            dispatch = self._step(Step.DISPATCH, now, prior_attempts, run, until=self._limit)
            self._dispatched = min(self._dispatched, dispatch.effect)
            now = self._in_time(dispatch.ends)
            if dispatch.completed:
                return now
            if not self._assumptions.ships_again:
                raise _Stopped(now)
            run, prior_attempts = run + 1, prior_attempts + dispatch.attempts

    def _ship(self, now: float) -> _Result:
        if Step.SHIP not in self._assumptions.steps:
            return _Result(now, completed=True, effect=now)
        return self._step(Step.SHIP, now)

    def _in_time(self, seconds: float) -> float:
        if seconds > self._limit + TOLERANCE:
            raise _Stopped(self._limit)
        return seconds

    def _step(self, step: Step, now: float, prior_attempts: int = 0, run: int = 0, until: float = NEVER) -> _Result:
        """The attempts of `step` from `now` on; what is under way at `until` is cancelled."""
        policy = policy_of(step, self._policy)
        result = _Result(now, completed=False)
        while result.ends <= until + TOLERANCE:
            result.attempts += 1
            number = prior_attempts + result.attempts
            fault = decide(self._faults, self._order_id, step, number)
            cost = attempt_cost(fault, policy.timeout_seconds(step, result.attempts), self._assumptions)
            begins, result.ends = result.ends, result.ends + cost.seconds
            outcome = outcome_of(fault, cost) if result.ends <= until + TOLERANCE else "cancelled"
            self.attempts.append(SimulatedAttempt(step, number, run, fault, outcome, begins, min(result.ends, until)))
            if cost.effect_seconds is not None:
                result.effect = min(result.effect, begins + cost.effect_seconds)
            result.completed, result.declined = cost.completed, cost.final
            if cost.final and policy is UNTIL_DONE:
                result.ends = NEVER  # nothing handles a refusal there
            if cost.completed or cost.final or result.attempts == policy.max_attempts:
                break
            result.ends += policy.wait_seconds(result.attempts)
        return result
