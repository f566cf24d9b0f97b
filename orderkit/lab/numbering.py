"""Orders that run again under the same name: `tea`, `tea-2` …, with the same faults."""

from __future__ import annotations

from dataclasses import replace

from orderkit.contract import StartOrder
from orderkit.core.faults import FaultPlan, Scenario, decide
from orderkit.core.steps import SCENARIO_STEPS

_PINNED_ATTEMPTS = 100  # of each step; more than fit into any deadline that a lesson uses


def numbered(name: str, number: int) -> str:
    """`tea`, `tea-2` …"""
    return name if number == 1 else f"{name}-{number}"


def body_of(body: StartOrder, name: str, number: int) -> StartOrder:
    """The same request for the order with that number: the faults of its plain name, and a payment of its own."""
    payment_id = numbered(body.payment_id, number) if body.payment_id else ""
    return StartOrder.of(
        plan_of(body.faults.to_plan(), name, number),
        **{key: getattr(body, key) for key in StartOrder.model_fields if key not in ("faults", "payment_id")},
        payment_id=payment_id,
    )


def plan_of(plan: FaultPlan, name: str, number: int) -> FaultPlan:
    """The plan that gives a numbered order the faults of its plain name: the scenario's draws, written out."""
    if number == 1 or plan.scenario is Scenario.CALM:
        return plan
    script = {step: list(faults) for step, faults in plan.script.items()}
    for step in sorted(SCENARIO_STEPS):
        faults = script.setdefault(step, [])
        faults += [str(decide(plan, name, step, attempt)) for attempt in range(len(faults) + 1, _PINNED_ATTEMPTS + 1)]
    return replace(plan, script=script)
