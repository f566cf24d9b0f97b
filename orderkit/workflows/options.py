"""From a policy's data to Temporal's options."""

from __future__ import annotations

from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

from orderkit.core.policies import Policy
from orderkit.core.steps import Step


class ActivityOptions(TypedDict):
    """Keyword arguments of `workflow.execute_activity`."""

    start_to_close_timeout: timedelta
    retry_policy: RetryPolicy


def activity_options(policy: Policy, step: Step) -> ActivityOptions:
    """The time limit and the retries of `step` under `policy`."""
    return ActivityOptions(
        start_to_close_timeout=timedelta(seconds=policy.timeout_seconds(step)),
        retry_policy=RetryPolicy(
            initial_interval=timedelta(seconds=max(policy.first_wait_seconds, 0.001)),
            backoff_coefficient=policy.factor,
            maximum_interval=timedelta(seconds=max(policy.max_wait_seconds, 0.001)),
            maximum_attempts=policy.max_attempts,
        ),
    )


def attempts_made(error: ActivityError, policy: Policy, prior_attempts: int) -> int:
    """How many attempts an activity had when it failed for good, those of earlier runs included."""
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.details and isinstance(cause.details[0], dict):
        return int(cause.details[0].get("attempt", 0)) or prior_attempts + policy.max_attempts
    return prior_attempts + policy.max_attempts


def reason_of(error: BaseException) -> str:
    """The innermost message of a failure, for people."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (error.message if isinstance(error, FailureError) else str(error)) or type(error).__name__
