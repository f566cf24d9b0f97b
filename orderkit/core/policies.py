"""Retry policies as data, and the arithmetic of the deadline."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from orderkit.core.steps import POLICY_STEPS, Step

DEFAULT_DEADLINE_SECONDS = 15.0
# The server ends an attempt at its start-to-close timeout, but the attempt itself lives on for 5 s more. The worker
# ends it this much later: right after the server did, or first, on a server with slow timers.
ATTEMPT_GRACE_SECONDS = 0.1


class PolicyName(StrEnum):
    """A retry policy, by name."""

    SPEC = "spec"  #: 3 attempts, growing waits
    BUDGET = "budget"  #: short attempts and waits; the deadline bounds it


@dataclass(frozen=True)
class Policy:
    """How each step is tried: an attempt's time limit, the waits between attempts, how many attempts (0: no limit)."""

    name: str
    attempt_timeout_seconds: Mapping[str, float]
    first_wait_seconds: float
    factor: float
    max_wait_seconds: float
    max_attempts: int = 0

    def timeout_seconds(self, step: Step, attempt: int = 1) -> float:
        """The time limit of that attempt of `step`; the same for each."""
        return self.attempt_timeout_seconds[step]

    def wait_seconds(self, failed_attempts: int) -> float:
        """The wait after that many failed attempts (Temporal's rule: first x factor^(n-1), capped)."""
        return min(self.first_wait_seconds * self.factor ** (failed_attempts - 1), self.max_wait_seconds)


@dataclass(frozen=True)
class UntilDone(Policy):
    """Tried without end, the time limit doubled after every few attempts, up to `max_timeout_seconds`.

    With a fixed limit an overloaded machine fails for ever, because every retry adds load.
    """

    attempts_per_limit: int = 20
    max_timeout_seconds: float = 10
    activity_seconds: float = 60  # of one activity with all its attempts; then another one goes on

    def timeout_seconds(self, step: Step, attempt: int = 1) -> float:
        """The time limit of that attempt of `step`."""
        doublings = min((attempt - 1) // self.attempts_per_limit, 16)
        return float(min(self.attempt_timeout_seconds[step] * 2**doublings, self.max_timeout_seconds))


# The architecture document's policy: an order whose step only errors fails in 3-5 s.
SPEC = Policy(
    name=PolicyName.SPEC.value,
    attempt_timeout_seconds={
        Step.RECEIVE: 3,
        Step.VALIDATE: 3,
        Step.REVIEW: 2,
        Step.CHARGE: 3,
        Step.PREPARE: 2,
        Step.DISPATCH: 2,
    },
    first_wait_seconds=1,
    factor=2,
    max_wait_seconds=10,
    max_attempts=3,
)

# Short attempts and short constant waits: what bounds it is the time left. The attempt's limit stays above
# the worst a healthy step takes under load (p99 about 0.1 s with 200 orders at once).
BUDGET = Policy(
    name=PolicyName.BUDGET.value,
    attempt_timeout_seconds=dict.fromkeys(POLICY_STEPS, 0.25),
    first_wait_seconds=0.05,
    factor=1,
    max_wait_seconds=0.05,
)

# Everything after the point of no return, and every compensation: these must happen. Where no scenario makes an attempt
# hang, limits leave room for a busy machine. Limits and waits grow only a little, since the deadline is near. But they
# must grow: hundreds of orders that are stopped at once would otherwise keep the machine overloaded.
UNTIL_DONE = UntilDone(
    name="until_done",
    attempt_timeout_seconds={
        Step.SHIP: 0.2,
        Step.ADDRESS: 2,
        Step.STOP: 2,
        Step.RECALL: 0.2,
        Step.REFUND: 0.2,
        Step.CLOSE: 2,
    },
    first_wait_seconds=0.01,
    factor=1.1,
    max_wait_seconds=5,
)

POLICIES: dict[str, Policy] = {policy.name: policy for policy in (SPEC, BUDGET)}


@dataclass(frozen=True)
class Deadline:
    """An order is decided within `total_seconds` of its start; the last part is kept for compensation."""

    total_seconds: float = field(default=DEFAULT_DEADLINE_SECONDS)

    @property
    def reserve_seconds(self) -> float:
        """4 s, or three tenths of a short deadline."""
        return min(4.0, 0.3 * self.total_seconds)

    @property
    def forward_seconds(self) -> float:
        """How long after the start the forward path may go on."""
        return self.total_seconds - self.reserve_seconds

    def left_seconds(self, elapsed_seconds: float) -> float:
        """Time left until the deadline; never negative."""
        return max(0.0, self.total_seconds - elapsed_seconds)

    def forward_left_seconds(self, elapsed_seconds: float) -> float:
        """Time left for the forward path; never negative."""
        return max(0.0, self.forward_seconds - elapsed_seconds)
