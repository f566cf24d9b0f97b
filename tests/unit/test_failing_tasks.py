"""Which failed workflow task counts: the last one, unless one has completed since, and not what the server gave up."""

from __future__ import annotations

import pytest
from temporalio.api.enums.v1 import WorkflowTaskFailedCause
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import (
    HistoryEvent,
    WorkflowTaskCompletedEventAttributes,
    WorkflowTaskFailedEventAttributes,
)

from orderkit.temporal.failing import last_failure

BUG = "WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE"
OWN = [
    "WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND",
    "WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_UPDATE",
    "WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW",
    "WORKFLOW_TASK_FAILED_CAUSE_FAILOVER_CLOSE_COMMAND",
]


def failed(event_id: int, cause: str, message: str) -> HistoryEvent:
    attributes = WorkflowTaskFailedEventAttributes(
        cause=WorkflowTaskFailedCause.Value(cause), failure=Failure(message=message)
    )
    return HistoryEvent(event_id=event_id, workflow_task_failed_event_attributes=attributes)


def completed(event_id: int) -> HistoryEvent:
    return HistoryEvent(
        event_id=event_id, workflow_task_completed_event_attributes=WorkflowTaskCompletedEventAttributes()
    )


@pytest.mark.parametrize("cause", OWN)
def test_what_the_server_gives_up_does_not_count(cause: str) -> None:
    """A message that comes in while a task runs, for one: every order that is approved at that moment would fail."""
    assert last_failure([completed(4), failed(9, cause, "UnhandledCommand")]) is None


@pytest.mark.parametrize("cause", OWN)
def test_it_does_not_hide_a_bug_before_it(cause: str) -> None:
    found = last_failure([completed(4), failed(9, BUG, "KeyError"), failed(12, cause, "UnhandledCommand")])
    assert found is not None and (found[0], found[1].message) == (9, "KeyError")


def test_a_completed_task_ends_it() -> None:
    assert last_failure([failed(4, BUG, "KeyError"), completed(9)]) is None


@pytest.mark.parametrize("cause", [BUG, "WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR"])
def test_what_the_code_does_counts(cause: str) -> None:
    found = last_failure([completed(4), failed(9, cause, "no")])
    assert found is not None and found[0] == 9
