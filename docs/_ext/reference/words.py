"""The words of orders, events and faults: members of the core's enums, each with a comment that says what it means."""

from __future__ import annotations

from enum import StrEnum

from sphinx.pycode import ModuleAnalyzer

from orderkit.core.events import AttemptState, EventType, event_step
from orderkit.core.faults import FaultKind, Scenario
from orderkit.core.orders import OrderState, Review
from orderkit.core.policies import PolicyName
from orderkit.core.steps import STEP_ACTIVITIES, Step
from orderkit.core.world import Service, ServiceState
from reference.markup import anchored, code, sentence, table

# In the order of the page; the heading of each.
WORDS: dict[type[StrEnum], str] = {
    OrderState: "States of an order",
    Step: "Steps",
    AttemptState: "Outcomes of an attempt",
    FaultKind: "Faults",
    Scenario: "Scenarios",
    Service: "Services of the outside world",
    ServiceState: "States of their switches",
    PolicyName: "Retry policies",
    Review: "Review",
}


def meanings(words: type[StrEnum]) -> dict[StrEnum, str]:
    """What each member means, from the comment beside it; empty where there is none."""
    comments = ModuleAnalyzer.for_module(words.__module__).find_attr_docs()
    return {word: " ".join(comments.get((words.__name__, word.name), [])) for word in words}


def events_markdown() -> str:
    """A table of event types: the type, the step whose activity writes it, what happened."""
    rows = [
        [anchored(event, f"event {event}"), code(event_step(event) or ""), sentence(meaning)]
        for event, meaning in meanings(EventType).items()
    ]
    return table(["type", "written by step", "what happened"], rows)


def markdown() -> str:
    """A heading and a table for each of WORDS."""
    return "\n\n".join(f"## {heading}\n\n{_table(words)}" for words, heading in WORDS.items())


def _table(words: type[StrEnum]) -> str:
    rows = [[anchored(word, f"{words.__name__} {word}"), sentence(text)] for word, text in meanings(words).items()]
    if words is Step:
        rows = [[row[0], code(STEP_ACTIVITIES[step]), row[1]] for row, step in zip(rows, Step, strict=True)]
        return table(["step", "activity", "meaning"], rows)
    return table(["word", "meaning"], rows)
