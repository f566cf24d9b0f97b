"""Counts every attempt of every step in this process, beside what Temporal's SDK counts by itself.

The orders themselves are counted by the API, in the database: there they stay true when a worker dies.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.common import MetricMeter
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from orderkit.core.events import AttemptOutcome
from orderkit.core.steps import ACTIVITY_STEPS


class CountAttempts(Interceptor):
    """For the worker, outside of RecordAttempts, which gives errors their types."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Called by the worker."""
        return _Counter(next)


class _Counter(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        began = time.monotonic()
        outcome = AttemptOutcome.FAILED
        try:
            result = await super().execute_activity(input)
            outcome = AttemptOutcome.COMPLETED
        except ApplicationError as error:
            if error.type == "AttemptTimeout":
                outcome = AttemptOutcome.TIMED_OUT
            raise
        except asyncio.CancelledError:
            outcome = AttemptOutcome.CANCELLED
            raise
        finally:
            _count(outcome, time.monotonic() - began)
        return result


def _count(outcome: AttemptOutcome, seconds: float) -> None:
    """Labels: the step and the outcome, besides the SDK's own; never an id."""
    step = ACTIVITY_STEPS.get(activity.info().activity_type)
    if step is None:  # no part of an order
        return
    meter: MetricMeter = activity.metric_meter()
    labels = {"step": str(step), "outcome": str(outcome)}
    meter.create_counter("orderkit_attempts", "Attempts that ended in this process, by step.").add(1, labels)
    meter.create_histogram_timedelta("orderkit_attempt_duration", "How long an attempt took.").record(
        timedelta(seconds=seconds), {"step": str(step)}
    )
