"""From a policy's data to Temporal's options."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, TypedDict

from temporalio import workflow
from temporalio.common import Priority, RawValue, RetryPolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ChildWorkflowError,
    FailureError,
    RetryState,
    TerminatedError,
    TimeoutError,
    TimeoutType,
    is_cancelled_exception,
)

from orderkit.core.calls import AddressResult, DispatchResult, RefundResult, StepInput, StopResult
from orderkit.core.policies import UNTIL_DONE, Policy, UntilDone
from orderkit.core.steps import ACTIVITY_STEPS, STEP_ACTIVITIES, STEP_SUMMARIES, Step
from orderkit.errors import NON_RETRYABLE
from orderkit.temporal.inputs import Unreadable, read

_FINAL = frozenset(error.__name__ for error in NON_RETRYABLE)
_RESULTS: dict[Step, type] = {
    Step.DISPATCH: DispatchResult,
    Step.ADDRESS: AddressResult,
    Step.STOP: StopResult,
    Step.REFUND: RefundResult,
}  # the other steps have none
_DONE_FOR_REAL = "a-step-without-result-is-done-for-real"


class ActivityOptions(TypedDict):
    """Keyword arguments of `workflow.execute_activity`."""

    start_to_close_timeout: timedelta
    schedule_to_close_timeout: timedelta | None
    retry_policy: RetryPolicy
    priority: Priority


# If more work waits in a queue than workers can do, the lower key goes first: what must be done, then running orders,
# then new ones. So an overload delays new orders.
_MUST_BE_DONE, _ON_ITS_WAY, _NEW = (Priority(priority_key=key) for key in (1, 2, 3))


def activity_options(policy: Policy, step: Step, prior_attempts: int = 0) -> ActivityOptions:
    """The time limit and the retries of `step` under `policy`, after that many attempts of it."""
    limit = policy.timeout_seconds(step, prior_attempts + 1)
    attempts = policy.max_attempts
    altogether = None
    if isinstance(policy, UntilDone):
        # An activity that a person paused would never end: another one replaces it.
        altogether = timedelta(seconds=policy.activity_seconds)
        if limit < policy.max_timeout_seconds:
            attempts = policy.attempts_per_limit
    return ActivityOptions(
        start_to_close_timeout=timedelta(seconds=limit),
        schedule_to_close_timeout=altogether,
        retry_policy=RetryPolicy(
            initial_interval=timedelta(seconds=max(policy.wait_seconds(prior_attempts + 1), 0.001)),
            backoff_coefficient=policy.factor,
            maximum_interval=timedelta(seconds=max(policy.max_wait_seconds, 0.001)),
            maximum_attempts=attempts,
        ),
        priority=_priority(policy, step),
    )


def _priority(policy: Policy, step: Step) -> Priority:
    if isinstance(policy, UntilDone):
        return _MUST_BE_DONE
    return _NEW if step in (Step.RECEIVE, Step.VALIDATE) else _ON_ITS_WAY


async def run_step(step: Step, step_input: StepInput, policy: Policy = UNTIL_DONE) -> Any:
    """Run the step's activity by `policy`; until done, one activity after the other, each with a longer limit.

    An activity that a person completed by hand is run again: only the step itself knows what was done.
    """
    made = 0  # by this call: an earlier shipping run's attempts count on, but its waits and limits do not
    while True:
        options = activity_options(policy, step, made)
        try:
            value: RawValue | None = await workflow.execute_activity(
                STEP_ACTIVITIES[step], step_input, result_type=RawValue, summary=STEP_SUMMARIES[step], **options
            )
            return _result(step, value)
        except ActivityError as error:
            if not isinstance(policy, UntilDone) or not _may_go_on(error):
                raise
            tried = policy.attempts_per_limit
        except Unreadable:
            tried = 1
        made += tried
        step_input = replace(step_input, prior_attempts=step_input.prior_attempts + tried)


def _result(step: Step, value: RawValue | None) -> Any:
    """What the step's activity returned; raises Unreadable for what a person typed in its place.

    The SDK encodes "nothing" in a way of its own, as nobody types it.
    """
    if wanted := _RESULTS.get(step):
        return read(value, wanted, workflow.payload_converter())
    nothing = value is not None and value.payload.metadata.get("encoding") == b"binary/null"
    if not nothing and workflow.patched(_DONE_FOR_REAL):
        raise Unreadable("it was completed by hand")
    return None


def _may_go_on(error: ActivityError) -> bool:
    """Whether what must be done is tried again: its attempts or its time ran out, or a person failed it by hand."""
    if error.retry_state in (RetryState.MAXIMUM_ATTEMPTS_REACHED, RetryState.TIMEOUT):
        return True
    cause = error.cause
    return isinstance(cause, ApplicationError) and cause.type not in _FINAL and not is_cancelled_exception(error)


def attempts_made(error: ActivityError, policy: Policy, prior_attempts: int) -> int:
    """How many attempts an activity had when it failed for good, those of earlier runs included."""
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.details and isinstance(cause.details[0], dict):
        return int(cause.details[0].get("attempt", 0)) or prior_attempts + policy.max_attempts
    return prior_attempts + policy.max_attempts


def reason_of(error: BaseException, policy: Policy) -> str:
    """What delayed the order last, in words for people."""
    step = ACTIVITY_STEPS.get(error.activity_type) if isinstance(error, ActivityError) else None
    cause = error.__cause__ if isinstance(error, ActivityError | ChildWorkflowError) else error
    match cause:
        case TimeoutError(type=TimeoutType.START_TO_CLOSE) if step is not None:
            # Its own cause is the error of an earlier attempt.
            return f"no answer within {policy.timeout_seconds(step):g} s"
        case TimeoutError():
            return "no worker answered in time"
        case TerminatedError():
            return "its workflow was terminated"
        case ActivityError() | ChildWorkflowError():
            return reason_of(cause, policy)
        case FailureError():
            return cause.message or type(cause).__name__
    return str(cause) or type(cause).__name__
