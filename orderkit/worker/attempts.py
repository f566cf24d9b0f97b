"""An interceptor that records every attempt of every step, ends hangs on time, and types errors for Temporal."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from orderkit.core.calls import StepInput
from orderkit.core.events import AttemptOutcome
from orderkit.core.faults import decide
from orderkit.core.policies import ATTEMPT_GRACE_SECONDS
from orderkit.core.ports import AttemptLog, AttemptRecord
from orderkit.core.world import AGAIN_SECONDS
from orderkit.errors import NON_RETRYABLE, OrderkitError, ServiceDown, first_line
from orderkit.worker.activities import current_attempt

logger = logging.getLogger(__name__)
T = TypeVar("T")

GRACE = timedelta(seconds=ATTEMPT_GRACE_SECONDS)
WORKER = f"{socket.gethostname()}:{os.getpid()}"


@dataclass(frozen=True)
class RecordAttempts(Interceptor):
    """For the worker: `interceptors=[RecordAttempts(log)]`."""

    log: AttemptLog

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Called by the worker."""
        return _Recorder(next, self.log)


class _Recorder(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, log: AttemptLog) -> None:
        super().__init__(next)
        self._log = log

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        step_input = input.args[0] if input.args else None
        if not isinstance(step_input, StepInput):
            return await super().execute_activity(input)
        record = _record(step_input)
        attempt = record.attempt
        fault = decide(attempt.faults, attempt.order_id, attempt.step, attempt.number)
        limit = activity.info().start_to_close_timeout
        # By this process's own clock: the server's may be minutes away from it.
        began = time.monotonic()
        seconds = limit.total_seconds() if limit else None
        number: int = await self._note(record, self._log.started(record, str(fault), seconds))
        record = replace(record, attempt=replace(attempt, number=number))
        try:
            result = await self._bounded(input, began)
        except ApplicationError as error:
            timed_out = error.type == "AttemptTimeout"
            outcome = AttemptOutcome.TIMED_OUT if timed_out else AttemptOutcome.FAILED
            await self._ended(record, outcome, error.message if timed_out else f"{error.type}: {error.message}")
            raise
        except asyncio.CancelledError:
            await asyncio.shield(self._ended(record, AttemptOutcome.CANCELLED, "cancelled"))
            raise
        # If the end cannot be noted, the step is tried again: it is idempotent, and the events stay complete.
        await self._note(record, self._log.ended(record, AttemptOutcome.COMPLETED, ""))
        return result

    async def _bounded(self, input: ExecuteActivityInput, began: float) -> Any:
        """Run the attempt within its time limit; every error leaves as a typed ApplicationError."""
        info = activity.info()
        limit = info.start_to_close_timeout or timedelta.max
        step_input: StepInput = input.args[0]
        details = {"attempt": current_attempt(step_input).number}
        late = f"no answer within {limit.total_seconds():g} s"
        try:
            async with asyncio.timeout((limit + GRACE).total_seconds() if info.start_to_close_timeout else None):
                result = await super().execute_activity(input)
        except TimeoutError:
            raise ApplicationError(late, details, type="AttemptTimeout") from None
        except OrderkitError as error:
            final = isinstance(error, NON_RETRYABLE)
            name, delay = type(error).__name__, _delay(error, info)
            raise ApplicationError(
                str(error), details, type=name, non_retryable=final, next_retry_delay=delay
            ) from None
        except Exception as error:
            raise ApplicationError(first_line(error), details, type=type(error).__name__) from None
        if time.monotonic() - began > limit.total_seconds():
            # The server has given up on this attempt; its effect stands, and the next attempt finds it done.
            raise ApplicationError(f"{late}; it was done just after", details, type="AttemptTimeout")
        return result

    async def _note(self, record: AttemptRecord, write: Awaitable[T]) -> T:
        try:
            return await write
        except Exception as error:
            raise ApplicationError(
                f"the attempt could not be recorded: {first_line(error)}",
                {"attempt": record.attempt.number},
                type=type(error).__name__,
            ) from None

    async def _ended(self, record: AttemptRecord, outcome: AttemptOutcome, error: str) -> None:
        """Note a bad end. If noting fails too, raise the attempt's own error, which matters more."""
        try:
            await asyncio.wait_for(self._log.ended(record, outcome, error), 2)
        except Exception:
            logger.warning(
                "an attempt's end could not be recorded", exc_info=True, extra={"order_id": record.attempt.order_id}
            )


def _delay(error: OrderkitError, info: activity.Info) -> timedelta | None:
    """None: as the policy says. Who asks a service that is down waits a second at least before asking again."""
    policy = info.retry_policy
    if not isinstance(error, ServiceDown) or policy is None:
        return None
    usual = policy.initial_interval * policy.backoff_coefficient ** min(info.attempt - 1, 64)
    return max(min(usual, policy.maximum_interval or usual), timedelta(seconds=AGAIN_SECONDS))


def _record(step_input: StepInput) -> AttemptRecord:
    info = activity.info()
    return AttemptRecord(
        attempt=current_attempt(step_input),
        temporal_attempt=info.attempt,
        worker=WORKER,
        workflow_id=info.workflow_id or "",
        run_id=info.workflow_run_id or "",
        activity_id=info.activity_id,
    )
