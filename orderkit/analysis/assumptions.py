"""What a prediction assumes besides the fault plan and the policy, and what one attempt costs under it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from orderkit.core.events import AttemptOutcome, AttemptState
from orderkit.core.faults import HANG_SECONDS, OK, SCENARIOS, Fault, FaultKind, FaultPlan, parse_fault
from orderkit.core.policies import ATTEMPT_GRACE_SECONDS, DEFAULT_DEADLINE_SECONDS, UNTIL_DONE, Deadline, Policy
from orderkit.core.steps import FORWARD_STEPS, SCENARIO_STEPS, Step
from orderkit.store.measurements import Gap


@dataclass(frozen=True)
class Assumptions:
    """The circumstances of an order. Seconds throughout."""

    deadline_seconds: float = DEFAULT_DEADLINE_SECONDS
    reserve_seconds: float | None = None  # kept for compensation; None: what the workflow keeps
    review_seconds: float = 2.0  # the review timer
    # Scheduling, queue, database, with one order at a time (45 and 13 ms, rounded); `orderkit policy measure` tells
    # yours. A completed attempt costs more: the workflow takes the next step; a failed one the server repeats alone.
    overhead_seconds: float = 0.05  # from the start of an attempt that completes to the start of the next step
    retry_overhead_seconds: float = 0.01  # of one that fails to the next, beyond the time limit and the policy's wait
    restart_seconds: float = 2.0  # from a crash of the worker until another takes attempts
    steps: tuple[Step, ...] = FORWARD_STEPS  # leave out REVIEW for an order without review
    ships_again: bool = True  # a failed dispatch starts another shipping run while the time lasts

    @property
    def forward_seconds(self) -> float:
        """How long after the start the forward path may go on."""
        if self.reserve_seconds is None:
            return Deadline(self.deadline_seconds).forward_seconds
        return self.deadline_seconds - self.reserve_seconds


@dataclass(frozen=True)
class AttemptCost:
    """What one attempt leads to. `effect_seconds`: when its side effect happens, after its start; None: never."""

    seconds: float
    completed: bool
    final: bool = False
    effect_seconds: float | None = None


def attempt_cost(fault: Fault, timeout_seconds: float, assumptions: Assumptions) -> AttemptCost:
    """What an attempt with this fate costs."""
    overhead, again = assumptions.overhead_seconds, assumptions.retry_overhead_seconds
    timed_out = min(timeout_seconds, HANG_SECONDS) + again
    lost = max(timeout_seconds, assumptions.restart_seconds) + again
    match fault.kind:
        case FaultKind.OK:
            return AttemptCost(overhead, completed=True, effect_seconds=overhead)
        case FaultKind.SLOW:
            seconds = fault.milliseconds / 1000
            if seconds < timeout_seconds:
                return AttemptCost(seconds + overhead, completed=True, effect_seconds=seconds + overhead)
            # The attempt outlives its time limit a little, and may still act.
            late = seconds + again if seconds < timeout_seconds + ATTEMPT_GRACE_SECONDS else None
            return AttemptCost(timed_out, completed=False, effect_seconds=late)
        case FaultKind.ERROR:
            return AttemptCost(again, completed=False)
        case FaultKind.ERROR_AFTER:
            return AttemptCost(again, completed=False, effect_seconds=again)
        case FaultKind.HANG:
            return AttemptCost(timed_out, completed=False)
        case FaultKind.HANG_AFTER:
            return AttemptCost(timed_out, completed=False, effect_seconds=again)
        case FaultKind.DECLINE:
            return AttemptCost(overhead, completed=False, final=True)
        case FaultKind.CRASH:
            return AttemptCost(lost, completed=False)
        case FaultKind.CRASH_AFTER:
            return AttemptCost(lost, completed=False, effect_seconds=again)


def measured_overheads(gaps: Iterable[Gap], policy: Policy) -> tuple[float, float]:
    """`overhead_seconds` and `retry_overhead_seconds` of orders that ran; the defaults where nothing tells.

    The review is left out, since its gap holds the review timer, and so are steps that are tried until done.
    """
    completed: list[tuple[int, float]] = []
    again: list[tuple[int, float]] = []
    for gap in gaps:
        if gap.step in UNTIL_DONE.attempt_timeout_seconds or gap.step == Step.REVIEW:
            continue
        if gap.outcome == AttemptOutcome.COMPLETED:
            completed.append((gap.attempts, gap.seconds))
        else:
            limit = policy.timeout_seconds(Step(gap.step)) if gap.outcome == AttemptOutcome.TIMED_OUT else 0.0
            again.append((gap.attempts, gap.seconds - limit - policy.wait_seconds(gap.nth)))
    return _mean(completed, Assumptions.overhead_seconds), _mean(again, Assumptions.retry_overhead_seconds)


def _mean(weighted: list[tuple[int, float]], without: float) -> float:
    total = sum(weight for weight, _ in weighted)
    return max(0.0, sum(weight * value for weight, value in weighted) / total) if total else without


def outcome_of(fault: Fault, cost: AttemptCost) -> str:
    """How the attempt is shown, as in the view trellis_attempts."""
    if cost.completed:
        return AttemptOutcome.COMPLETED
    if fault.kind in (FaultKind.CRASH, FaultKind.CRASH_AFTER):
        return AttemptState.LOST
    timed_out = fault.kind in (FaultKind.HANG, FaultKind.HANG_AFTER, FaultKind.SLOW)
    return AttemptOutcome.TIMED_OUT if timed_out else AttemptOutcome.FAILED


def fates(faults: FaultPlan, step: Step, attempt: int) -> Iterator[tuple[float, Fault]]:
    """The possible fates of an attempt with their probabilities; `core.faults.decide` draws from the same."""
    script = faults.script.get(step, [])
    if attempt <= len(script):
        yield 1.0, parse_fault(script[attempt - 1])
        return
    left = 100
    if step in SCENARIO_STEPS:
        for percent, fault in SCENARIOS[faults.scenario]:
            yield percent / 100, fault
            left -= percent
    yield left / 100, OK


def policy_of(step: Step, policy: Policy) -> Policy:
    """The order's policy for the forward steps; what must happen, happens."""
    return UNTIL_DONE if step in UNTIL_DONE.attempt_timeout_seconds else policy
