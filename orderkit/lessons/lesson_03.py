"""Lesson 03's exercise: one script with which the patient policy ships and the hasty one fails."""

from __future__ import annotations

from orderkit.contract import OrderStatus
from orderkit.lab.lab import Lab
from orderkit.lessons.findings import ended, faults_met, how
from orderkit.lessons.verdicts import Observation, Verdict, verdict


async def patience_wins(lab: Lab, patient: str = "patient", hasty: str = "hasty") -> Verdict:
    """Two orders with the same faults and deadline: spec ships, budget fails."""
    hints = (
        "an error costs both policies little, a hang costs spec more; which word makes an attempt succeed, but late?",
        "an attempt of charge may take 0.25 s with budget, 3 s with spec: slow(500) is fast enough for one of them",
        'budget tries again and again, so every attempt must be slow: "charge=" + "slow(500)," * 40 + "ok"',
    )
    return verdict("patience_wins", await _look(lab, patient, hasty), hints)


async def _look(lab: Lab, patient: str, hasty: str) -> list[Observation]:
    seen: list[OrderStatus] = []
    findings = []
    for name, policy, wanted in ((patient, "spec", "shipped"), (hasty, "budget", "failed")):
        order = await ended(lab, name)
        if isinstance(order, Observation):
            return [order]
        assert order.last is not None  # it was just looked at
        seen.append(order.last)
        right = order.outcome == wanted and order.last.policy == policy
        told = how(name, order).replace(" is ", f", with {order.last.policy}, is ", 1)
        findings.append(Observation(right, told if right else f"{told}; it should be {wanted}, with {policy}"))
    deadlines = [f"{status.deadline_seconds:g} s" for status in seen if status.deadline_seconds]
    same = len(set(deadlines)) == 1
    findings.append(
        Observation(same, f"their deadlines: {' and '.join(deadlines)}{'' if same else '; they should be the same'}")
    )
    different = _difference(await faults_met(lab, patient), await faults_met(lab, hasty))
    findings.append(Observation(not different, different or "both had the same faults, as far as each got"))
    history = await lab.orders.history(hasty, full=True)
    red = bool((history["type"] == "WORKFLOW_EXECUTION_FAILED").any())
    findings.append(Observation(red, f"Temporal's history of {hasty} {'ends' if red else 'does not end'} as failed"))
    return findings


def _difference(patient: dict[tuple[str, int], str], hasty: dict[tuple[str, int], str]) -> str:
    """The first attempt that both had, and that met other faults; empty when there is none."""
    for (step, attempt), fault in patient.items():
        other = hasty.get((step, attempt), fault)
        if other != fault:
            return f"not the same script: attempt {attempt} of {step} was {fault} for one and {other} for the other"
    return ""
