"""Lesson 10's exercise: tests that fail on three exhibits of the bug museum, and pass on OrderWorkflow."""

from __future__ import annotations

from orderkit.lab.display import PytestReport, PytestResult
from orderkit.lab.lab import Lab
from orderkit.lessons.findings import wanted
from orderkit.lessons.verdicts import Observation, Verdict, verdict

EXHIBITS = ("polite-cancel", "hasty-clerk", "early-news")


def bugs_found(lab: Lab, name: str = "bugs") -> Verdict:
    """The last run of `%%test bugs`: each test is red on its exhibit and green on OrderWorkflow."""
    hints = (
        "each test names its exhibit, looks at what became of the order, and asserts what must be true for a customer",
        "visit.ledger tells what really happened: count its charge, its refund and its dispatch. visit.state is what "
        "our page says",
        "cancelled: as many refunds as charges. The clerk: at most one charge. Early news: shipped if, and only if, "
        "dispatch is in the ledger",
    )
    return verdict("bugs_found", _look(lab.tests.last(name), name), hints)


def _look(report: PytestReport | None, name: str) -> list[Observation]:
    if report is None:
        return [Observation(False, f"no cell %%test {name} was run in this notebook")]
    tests = list(dict.fromkeys(result.test.partition("[")[0] for result in report.results))
    found = [_of_one(test, report) for test in tests]
    enough = len(tests) >= len(EXHIBITS)
    return [*found, wanted(enough, f"{len(tests)} tests", f"one for each of {', '.join(EXHIBITS)}")]


def _of_one(test: str, report: PytestReport) -> Observation:
    broken, mended = (_result(report, f"{test}[{on}]") for on in ("exhibit", "OrderWorkflow"))
    if broken is None or mended is None:
        return Observation(False, f"{test} has not run on an exhibit: give it the argument shop")
    if broken.passed:
        return Observation(False, f"{test} is green on the exhibit, so it has not found the bug")
    if not broken.message.startswith("assert"):
        return Observation(False, f"{test} is red on the exhibit, but for another reason: {broken.message}")
    return wanted(mended.passed, f"{test} is red on the exhibit", f"on OrderWorkflow it should be green: {mended}")


def _result(report: PytestReport, test: str) -> PytestResult | None:
    return next((result for result in report.results if result.test == test), None)
