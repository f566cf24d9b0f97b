"""Fault plans: which attempt of which step fails, and how, decided from (seed, order, step, attempt) alone."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from orderkit.core.steps import POLICY_STEPS, SCENARIO_STEPS, Step
from orderkit.errors import InvalidFaultPlan

HANG_SECONDS = 300.0
MAX_SCRIPT_ATTEMPTS = 1_000
MAX_SLOW_DIGITS = 6  # of the milliseconds in `slow(…)`


class FaultKind(StrEnum):
    """What goes wrong."""

    OK = "ok"  #: nothing
    ERROR = "error"  #: fails at once; nothing happened
    ERROR_AFTER = "error_after"  #: the side effect happened, the answer was lost
    HANG = "hang"  #: no answer for 300 s; nothing happened
    HANG_AFTER = "hang_after"  #: the side effect happened, no answer for 300 s
    SLOW = "slow"  #: takes some milliseconds longer, then succeeds
    DECLINE = "decline"  #: the outside world says no; retrying cannot help
    CRASH = "crash"  #: the worker process dies on the spot; nothing happened
    CRASH_AFTER = "crash_after"  #: the worker process dies right after the side effect


@dataclass(frozen=True)
class Fault:
    """One attempt's fate. `milliseconds` is used by `slow` only."""

    kind: FaultKind
    milliseconds: int = 0

    def __str__(self) -> str:
        return f"slow({self.milliseconds})" if self.kind is FaultKind.SLOW else self.kind.value


OK = Fault(FaultKind.OK)


class Scenario(StrEnum):
    """A named fault model."""

    CALM = "calm"  #: no faults
    WORKSHOP = "workshop"  #: mild: most orders need a retry or two
    ORIGINAL = "original"  #: the architecture document's model: 33 % error, 34 % hang
    STORM = "storm"  #: every kind but crashes, often


# Percentages; what is left to 100 is `ok`.
SCENARIOS: dict[Scenario, tuple[tuple[int, Fault], ...]] = {
    Scenario.CALM: (),
    Scenario.WORKSHOP: (
        (10, Fault(FaultKind.ERROR)),
        (5, Fault(FaultKind.ERROR_AFTER)),
        (4, Fault(FaultKind.HANG)),
        (6, Fault(FaultKind.SLOW, 300)),
    ),
    Scenario.ORIGINAL: ((33, Fault(FaultKind.ERROR)), (34, Fault(FaultKind.HANG))),
    Scenario.STORM: (
        (25, Fault(FaultKind.ERROR)),
        (15, Fault(FaultKind.ERROR_AFTER)),
        (15, Fault(FaultKind.HANG)),
        (5, Fault(FaultKind.HANG_AFTER)),
        (10, Fault(FaultKind.SLOW, 200)),
    ),
}


@dataclass(frozen=True)
class FaultPlan:
    """Travels with the order.

    `script` maps a step to the faults of its attempts 1, 2, …; past its end the scenario decides.
    """

    scenario: Scenario = Scenario.CALM
    seed: int = 0
    script: Mapping[str, list[str]] = field(default_factory=dict)


def parse_fault(text: str) -> Fault:
    """Read `error`, `hang`, `slow(250)` … ; raises InvalidFaultPlan."""
    match = re.fullmatch(rf"(?P<kind>[a-z_]+)(\((?P<ms>\d{{1,{MAX_SLOW_DIGITS}}})\))?", text.strip())
    kinds = [kind.value for kind in FaultKind]
    if match is None or match["kind"] not in kinds:
        raise InvalidFaultPlan(
            f"unknown fault {text!r}; use one of: {', '.join(kinds)} (slow as slow(250), milliseconds)"
        )
    kind = FaultKind(match["kind"])
    if (match["ms"] is None) == (kind is FaultKind.SLOW):
        raise InvalidFaultPlan(f"bad fault {text!r}; only slow takes milliseconds, as slow(250)")
    return Fault(kind, int(match["ms"] or 0))


def parse_script(text: str) -> dict[str, list[str]]:
    """Read `charge=error,hang,ok; dispatch=error`; raises InvalidFaultPlan."""
    script: dict[str, list[str]] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        step, separator, faults = part.partition("=")
        if not separator:
            raise InvalidFaultPlan(f"bad script {part!r}; write step=fault,fault, for example charge=error,hang,ok")
        script[step.strip()] = [str(parse_fault(fault)) for fault in faults.split(",")]
    return script


def parse_plan(text: str, seed: int = 0) -> FaultPlan:
    """Read a scenario's name, a script, or both: `workshop`, `charge=error,ok`, `workshop; charge=hang`."""
    scenario = Scenario.CALM
    parts = [part.strip() for part in text.split(";") if part.strip()]
    if parts and "=" not in parts[0]:
        if parts[0] not in list(Scenario):
            names = ", ".join(Scenario)
            raise InvalidFaultPlan(
                f"unknown scenario {parts[0]!r}; use one of: {names}, or a script like charge=error,ok"
            )
        scenario = Scenario(parts.pop(0))
    plan = FaultPlan(scenario, seed, parse_script("; ".join(parts)))
    check_plan(plan)
    return plan


def check_plan(plan: FaultPlan) -> None:
    """Raise InvalidFaultPlan unless every step and fault of the script is known."""
    if plan.scenario not in list(Scenario):
        raise InvalidFaultPlan(f"unknown scenario {plan.scenario!r}; use one of: {', '.join(Scenario)}")
    for step, faults in plan.script.items():
        if step not in list(Step):
            raise InvalidFaultPlan(f"unknown step {step!r} in the script; use one of: {', '.join(Step)}")
        if len(faults) > MAX_SCRIPT_ATTEMPTS:
            raise InvalidFaultPlan(f"the script of {step!r} is longer than {MAX_SCRIPT_ATTEMPTS} attempts")
        for fault in map(parse_fault, faults):
            if fault.kind is FaultKind.DECLINE and step not in POLICY_STEPS:
                raise InvalidFaultPlan(f"nobody can decline {step!r}, it is tried until done; use error or hang")


def decide(plan: FaultPlan, order_id: str, step: Step, attempt: int) -> Fault:
    """The fault of one attempt (counted from 1). The same arguments give the same answer on every machine."""
    script = plan.script.get(step, [])
    if attempt <= len(script):
        return parse_fault(script[attempt - 1])
    if step not in SCENARIO_STEPS:
        return OK
    draw = _percent(plan.seed, order_id, step, attempt)
    for percent, fault in SCENARIOS[plan.scenario]:
        if draw < percent:
            return fault
        draw -= percent
    return OK


def _percent(seed: int, order_id: str, step: Step, attempt: int) -> int:
    """A uniform whole number from 0 to 99; the bias of the modulo is below 10⁻¹⁷."""
    digest = hashlib.sha256(f"{seed}|{order_id}|{step}|{attempt}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % 100
