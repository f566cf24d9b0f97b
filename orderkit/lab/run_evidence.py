"""Why a run of a learner's workflow does not go on: failing code, an activity that is tried again, a wait."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from orderkit.temporal.failing import failing_in
from orderkit.temporal.failing import told as told_failure

if TYPE_CHECKING:
    from temporalio.client import Client, WorkflowExecutionDescription

    from orderkit.temporal.failing import FailingTask

_FAILS_WITHIN = timedelta(seconds=0.5)  # from the moment a worker takes a task; one that fails again may not say so


async def failing_now(
    client: Client, description: WorkflowExecutionDescription, served_at: datetime | None
) -> FailingTask | None:
    """The failure of a run's code, unless other code has been served since."""
    failing = await failing_in(client, description.raw_description)
    if failing is None or served_at is None:
        return failing
    handle = client.get_workflow_handle(failing.workflow_id, run_id=failing.run_id)
    async for event in handle.fetch_history_events():
        if event.event_id == failing.event_id and event.event_time.ToDatetime(UTC) > served_at:
            return failing
    # Not every failure is in the history. Has the new code been tried since, and not got on?
    tried_at = description.raw_description.pending_workflow_task.started_time.ToDatetime(UTC)  # 1970: by nobody
    return failing if tried_at > served_at and datetime.now(UTC) - tried_at > _FAILS_WITHIN else None


def told_failing(failing: FailingTask, module: str) -> list[str]:
    """With the line of the cell: `tea.py, line 7, in run: …` is line 7 of it."""
    then = "mend the cell and run it again: this run goes on with the new code"
    return [_error(failing.error.partition(". If this is code")[0], failing.where, module), then]


def _error(error: str, where: str, module: str) -> str:
    where = re.sub(rf"^{module}\.py, line (\d+), in \S+: ", r"line \1 of the cell: ", where)
    return f"{error} (at {where})" if where else error


async def explain_run(
    client: Client, description: WorkflowExecutionDescription, module: str, signals: Sequence[str]
) -> list[str]:
    """For a run whose code does not fail: one sentence for each finding; at least one."""
    raw: Any = description.raw_description
    if raw.pending_activities:
        return [_activity(each, module) for each in raw.pending_activities]
    if raw.HasField("pending_workflow_task"):
        return ["no worker has taken its next task: run the %%workflow cell again"]
    timers = await _timers(client, description)
    if timers:
        return [f"it waits for {'a timer' if len(timers) == 1 else 'timers'}: {', '.join(timers)}"]
    return [f"nothing is pending: it waits for a message. It takes the signals: {', '.join(signals) or 'none'}"]


def _activity(pending: Any, module: str) -> str:
    told = f"activity {pending.activity_type.name} is on attempt {pending.attempt}"
    if not pending.HasField("last_failure"):
        return told
    return f"{told}; the one before failed: {_error(*told_failure(pending.last_failure), module)}"


async def _timers(client: Client, description: WorkflowExecutionDescription) -> list[str]:
    """The lengths of those that run."""
    running: dict[int, str] = {}
    async for event in client.get_workflow_handle(description.id, run_id=description.run_id).fetch_history_events():
        if event.HasField("timer_started_event_attributes"):
            seconds = event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta().total_seconds()
            running[event.event_id] = f"{seconds:g} s"
        for ended in ("timer_fired_event_attributes", "timer_canceled_event_attributes"):
            if event.HasField(ended):
                running.pop(getattr(event, ended).started_event_id, None)
    return list(running.values())
