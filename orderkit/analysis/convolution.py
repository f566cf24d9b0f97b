"""The distribution of an order's end and of the time to it, computed on a grid: nothing is drawn, no sampling error.

Mirrors orderkit/workflows/order.py and shipping.py: a change of the order's path there is a change here and in
simulation.py, and the unit test that compares the two notices when only one of them was changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from orderkit.analysis.assumptions import Assumptions, attempt_cost, fates, policy_of
from orderkit.analysis.grid import Grid, Mass
from orderkit.core.faults import FaultPlan
from orderkit.core.orders import OrderState
from orderkit.core.policies import Policy
from orderkit.core.steps import Step

NEGLIGIBLE = 1e-12


@dataclass(frozen=True)
class _Chain:
    """The attempts of one step, as masses over the seconds since its start.

    `effect` is the first side effect, an earlier attempt's taken to come before a later one's; `unseen` are failures
    for good before which nothing happened outside.
    """

    completed: Mass
    exhausted: Mass
    declined: Mass
    effect: Mass
    unseen: Mass
    attempts: int


class Convolution:
    """One computation: `run` gives each end's mass over time. What is missing to 1 ends after the grid, or never."""

    def __init__(self, faults: FaultPlan, policy: Policy, assumptions: Assumptions, grid: Grid) -> None:
        self._faults = faults
        self._policy = policy
        self._assumptions = assumptions
        self._grid = grid
        self._limit = grid.index(assumptions.forward_seconds)
        self._chains: dict[tuple[Step, int], _Chain] = {}
        self._stopped: dict[tuple[OrderState, tuple[Step, ...]], Mass] = {}

    def run(self) -> dict[OrderState, Mass]:
        """Follow the order's path."""
        undo: tuple[Step, ...] = ()
        arrived = self._grid.at(0)
        for step in self._assumptions.steps:
            if step is Step.PREPARE:
                break
            if step is Step.CHARGE:
                undo = (Step.REFUND,)
            arrived = self._forward(step, arrived, undo)
            if step is Step.REVIEW:
                approved = self._in_time(self._grid.later(arrived, self._assumptions.review_seconds))
                self._stop_late(arrived.sum() - approved.sum(), undo)
                arrived = approved
        ends = {OrderState.SHIPPED: self._shipping(arrived, (Step.RECALL, *undo))}
        for (state, steps), mass in self._stopped.items():
            ends[state] = ends.get(state, self._grid.nothing()) + self._undone(mass, steps)
        return ends

    # The forward path

    def _forward(self, step: Step, arrived: Mass, undo: tuple[Step, ...]) -> Mass:
        chain = self._chain(step)
        exhausted = self._in_time(self._grid.then(arrived, chain.exhausted))
        declined = self._in_time(self._grid.then(arrived, chain.declined))
        completed = self._in_time(self._grid.then(arrived, chain.completed))
        self._stop(OrderState.FAILED, exhausted, undo)
        self._stop(OrderState.REJECTED if step is Step.CHARGE else OrderState.FAILED, declined, undo)
        self._stop_late(arrived.sum() - exhausted.sum() - declined.sum() - completed.sum(), undo)
        return completed

    def _shipping(self, arrived: Mass, undo: tuple[Step, ...]) -> Mass:
        """The shipping runs. Each repeats prepare with the same fates: before run r, r times the same time went by."""
        grid = self._grid
        prepare = self._chain(Step.PREPARE)
        prepare_failed = self._in_time(grid.then(arrived, prepare.exhausted + prepare.declined))
        self._stop(OrderState.FAILED, prepare_failed, undo)
        dispatched, given_up, too_late = grid.nothing(), grid.nothing(), grid.nothing()
        with_carrier = 0.0  # by the limit, whether the answer arrived or not
        failed = unseen = grid.at(0)
        prior_attempts = 0
        for run in count(1):
            begun = grid.then(arrived, grid.stretched(prepare.completed, run))
            chain = self._chain(Step.DISPATCH, prior_attempts)
            dispatched += self._in_time(grid.then(grid.then(begun, failed), chain.completed))
            with_carrier += self._in_time(grid.then(grid.then(begun, unseen), chain.effect)).sum()
            failed = grid.then(failed, chain.exhausted + chain.declined)
            unseen = grid.then(unseen, chain.unseen)
            prior_attempts += chain.attempts
            again = self._in_time(grid.then(begun, failed))
            if not self._assumptions.ships_again:
                given_up = self._in_time(grid.then(begun, unseen))
                too_late = again - given_up
            if not self._assumptions.ships_again or again.sum() < NEGLIGIBLE:
                break
        self._stop(OrderState.FAILED, given_up, undo)
        unanswered = max(0.0, with_carrier - dispatched.sum() - too_late.sum())
        gone = prepare_failed.sum() + given_up.sum() + too_late.sum() + dispatched.sum() + unanswered
        self._stop_late(arrived.sum() - gone, undo)
        return self._shipped(dispatched, too_late + grid.at(self._limit, unanswered))

    def _shipped(self, dispatched: Mass, stopped_in_vain: Mass) -> Mass:
        """The last step; after a stop that came too late, it starts when the database has said so."""
        grid = self._grid
        effect = self._chain(Step.SHIP).effect if Step.SHIP in self._assumptions.steps else grid.at(0)
        refused = grid.then(self._chain(Step.STOP).completed, stopped_in_vain)
        return grid.then(dispatched + refused, effect)

    # Stops

    def _stop(self, state: OrderState, mass: Mass, undo: tuple[Step, ...]) -> None:
        self._stopped[state, undo] = self._stopped.get((state, undo), self._grid.nothing()) + mass

    def _stop_late(self, probability: float, undo: tuple[Step, ...]) -> None:
        self._stop(OrderState.FAILED, self._grid.at(self._limit, max(0.0, probability)), undo)

    def _undone(self, mass: Mass, undo: tuple[Step, ...]) -> Mass:
        for step in (Step.STOP, *undo):
            mass = self._grid.then(mass, self._chain(step).completed)
        return self._grid.then(mass, self._chain(Step.CLOSE).effect)

    def _in_time(self, mass: Mass) -> Mass:
        return self._grid.until(mass, self._limit)

    # One step

    def _chain(self, step: Step, prior_attempts: int = 0) -> _Chain:
        key = (step, prior_attempts)
        if key not in self._chains:
            self._chains[key] = self._attempts(step, prior_attempts)
        return self._chains[key]

    def _attempts(self, step: Step, prior_attempts: int) -> _Chain:
        grid, policy = self._grid, policy_of(step, self._policy)
        completed, exhausted, declined, effect, unseen_failed = (grid.nothing() for _ in range(5))
        begun = unseen = grid.at(0)
        for number in count(1):
            failed, failed_unseen = grid.nothing(), grid.nothing()
            for probability, fault in fates(self._faults, step, prior_attempts + number):
                cost = attempt_cost(fault, policy.timeout_seconds(step, number), self._assumptions)
                ends = probability * grid.later(begun, cost.seconds)
                if cost.completed:
                    completed += ends
                elif cost.final:
                    declined += ends
                else:
                    failed += ends
                if cost.effect_seconds is not None:
                    effect += probability * grid.later(unseen, cost.effect_seconds)
                elif cost.final:
                    unseen_failed += probability * grid.later(unseen, cost.seconds)
                else:
                    failed_unseen += probability * grid.later(unseen, cost.seconds)
            if number == policy.max_attempts:
                exhausted, unseen_failed = failed, unseen_failed + failed_unseen
            wait = policy.wait_seconds(number)
            begun, unseen = grid.later(failed, wait), grid.later(failed_unseen, wait)
            if number == policy.max_attempts or begun.sum() < NEGLIGIBLE:
                return _Chain(completed, exhausted, declined, effect, unseen_failed, number)
        raise AssertionError("unreachable")
