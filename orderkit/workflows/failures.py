"""What a failure of the forward path means for the order."""

from __future__ import annotations

import asyncio

from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError

from orderkit.core.messages import Stop, StopKind
from orderkit.core.policies import Policy
from orderkit.core.steps import ACTIVITY_STEPS, Step
from orderkit.errors import OrderExists
from orderkit.workflows.options import reason_of


def stop_for(forward: asyncio.Task[None], policy: Policy) -> Stop:
    """The stop that a forward path asks for by having failed."""
    if forward.cancelled():
        return Stop(StopKind.FAILED, "the forward path was cancelled", "workflow")
    error = forward.exception()
    assert error is not None
    step = _step_of(error)
    kind = _error_type(error)
    declined = step is Step.CHARGE and kind in ("Declined", "KeyRefused")
    if declined or kind in ("InvalidOrder", "OrderConflict"):
        return Stop(StopKind.REJECTED, reason_of(error, policy), str(step))
    where = f"{step}: " if step else ""
    return Stop(StopKind.FAILED, f"{where}{reason_of(error, policy)}", str(step or "shipping"))


def _step_of(error: BaseException) -> Step | None:
    """The step that failed, in the order's workflow or in its child."""
    if isinstance(error, ChildWorkflowError) and error.cause is not None:
        error = error.cause
    return ACTIVITY_STEPS.get(error.activity_type) if isinstance(error, ActivityError) else None


def is_second_workflow(error: BaseException | None) -> bool:
    """Whether the order has another workflow, which is its own."""
    return error is not None and _error_type(error) == OrderExists.__name__


def no_row(error: BaseException) -> bool:
    """Whether a stop failed because the order cannot have a row: it is absurd, or its id is another order's."""
    return _error_type(error) in ("InvalidOrder", "OrderConflict")


def dispatch_attempts(error: BaseException) -> int | None:
    """How many attempts dispatch had, when a shipping run failed because of it; else None."""
    cause = error.cause if isinstance(error, ChildWorkflowError) else None
    if isinstance(cause, ApplicationError) and cause.type == "DispatchFailed":
        return int(cause.details[0][Step.DISPATCH.value])
    return None


def _error_type(error: BaseException) -> str:
    cause = error.__cause__
    return (cause.type or "") if isinstance(cause, ApplicationError) else ""
