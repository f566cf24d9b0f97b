"""From a policy's data to Temporal's options."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, TypedDict

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, RetryState

from orderkit.core.calls import StepInput
from orderkit.core.policies import UNTIL_DONE, Policy, UntilDone
from orderkit.core.steps import STEP_ACTIVITIES, Step


class ActivityOptions(TypedDict):
    """Keyword arguments of `workflow.execute_activity`."""

    start_to_close_timeout: timedelta
    retry_policy: RetryPolicy


def activity_options(policy: Policy, step: Step, prior_attempts: int = 0) -> ActivityOptions:
    """The time limit and the retries of `step` under `policy`, after that many attempts of it."""
    limit = policy.timeout_seconds(step, prior_attempts + 1)
    attempts = policy.max_attempts
    if isinstance(policy, UntilDone) and limit < policy.max_timeout_seconds:
        attempts = policy.attempts_per_limit
    return ActivityOptions(
        start_to_close_timeout=timedelta(seconds=limit),
        retry_policy=RetryPolicy(
            initial_interval=timedelta(seconds=max(policy.wait_seconds(prior_attempts + 1), 0.001)),
            backoff_coefficient=policy.factor,
            maximum_interval=timedelta(seconds=max(policy.max_wait_seconds, 0.001)),
            maximum_attempts=attempts,
        ),
    )


async def run_step(
    step: Step, step_input: StepInput, policy: Policy = UNTIL_DONE, result_type: type | None = None
) -> Any:
    """Run the step's activity by `policy`; until done, one activity after the other, each with a longer limit."""
    made = 0  # by this call: an earlier shipping run's attempts count on, but its waits and limits do not
    while True:
        options = activity_options(policy, step, made)
        try:
            return await workflow.execute_activity(
                STEP_ACTIVITIES[step], step_input, result_type=result_type, **options
            )
        except ActivityError as error:
            if not isinstance(policy, UntilDone) or error.retry_state is not RetryState.MAXIMUM_ATTEMPTS_REACHED:
                raise
        made += policy.attempts_per_limit
        step_input = replace(step_input, prior_attempts=step_input.prior_attempts + policy.attempts_per_limit)


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
