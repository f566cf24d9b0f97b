"""The check of the museum's exercise: a fault plan that convicts the hasty clerk and acquits OrderWorkflow."""

from __future__ import annotations

from orderkit.audit.rules import FindingKind
from orderkit.lessons.findings import attempts, provider
from orderkit.lessons.museum.tour import Museum
from orderkit.lessons.verdicts import Observation, Verdict, verdict

CLERK = "hasty-clerk"
_HINTS = (
    "one attempt cannot charge twice: the first one must fail in such a way that Temporal tries again",
    "an attempt that fails before it reaches the provider does no harm; which fault comes after the charge?",
    "charge= and the fault that is an error after the side effect",
)


async def clerk_is_convicted(museum: Museum) -> Verdict:
    """Lesson 07: the last visit to the clerk shows the double charge, and OrderWorkflow passes the same faults."""
    found = await _clerk_is_convicted(museum)
    return verdict("clerk_is_convicted", found, _HINTS, known=len(found) > 1 and found[0].ok)


async def _clerk_is_convicted(museum: Museum) -> list[Observation]:
    visit = museum.last(CLERK)
    if visit is None or visit.faults in ("", "calm"):
        return [Observation(False, "your last visit to the clerk had no faults: await museum.visit(…, faults=…)")]
    outcomes = [outcome.replace("_", " ") for step, outcome in visit.attempts if step == "charge"]
    tried = Observation(len(outcomes) > 1, f"charge had {attempts(len(outcomes))}: {', '.join(outcomes) or 'none'}")
    taken = visit.ledger.count("charge")
    charged = Observation(taken > 1, provider("took the money", taken))
    kinds = visit.kinds
    found = Observation(FindingKind.CHARGED_TWICE in kinds, f"the auditor found: {', '.join(kinds) or 'nothing'}")
    if not (tried.ok and charged.ok and found.ok):
        return [tried, charged, found]
    mended = await museum.mended(CLERK, visit.faults)
    also = ", ".join(mended.kinds) or "nothing"
    acquitted = Observation(not mended.kinds, f"in OrderWorkflow, under the same faults, the auditor found: {also}")
    return [tried, charged, found, acquitted]
