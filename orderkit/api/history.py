"""Temporal's history for people: names, attempts, timers and failures; payloads, which may hold addresses, stay out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from pydantic import JsonValue
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent as TemporalEvent

from orderkit.contract import HistoryEvent

# Scalars worth seeing; everything that is not listed is left out, so that nothing new leaks.
_SCALARS = frozenset(
    {
        "activity_id",
        "attempt",
        "cause",
        "identity",
        "initiated_event_id",
        "reason",
        "retry_state",
        "scheduled_event_id",
        "signal_name",
        "started_event_id",
        "timer_id",
    }
)
_DURATIONS = frozenset({"start_to_close_timeout", "start_to_fire_timeout", "workflow_task_timeout"})
_NAMED = {"activity_type": "name", "workflow_type": "name", "task_queue": "name", "workflow_execution": "workflow_id"}
_MAX_TEXT = 500


def summarise(event: TemporalEvent) -> HistoryEvent:
    """One event, without its payloads."""
    kind = event.WhichOneof("attributes")
    attributes = dict(_attributes(getattr(event, kind))) if kind else {}
    return HistoryEvent(
        id=event.event_id,
        ts=event.event_time.ToDatetime(UTC),
        type=EventType.Name(event.event_type).removeprefix("EVENT_TYPE_"),
        attributes=attributes,
    )


def _attributes(message: Message) -> Iterator[tuple[str, JsonValue]]:
    for field, value in message.ListFields():
        name = field.name
        if name in _SCALARS:
            yield name, _scalar(field, value)
        elif name in _DURATIONS and isinstance(value, Duration):
            yield f"{name}_seconds", value.ToTimedelta().total_seconds()
        elif name in _NAMED:
            yield name, getattr(value, _NAMED[name])
        elif isinstance(value, Failure):
            yield name, list(_chain(value))
        elif name == "meta":  # of an update
            yield "update_id", value.update_id
        elif name == "accepted_request":
            yield "update_name", value.input.name


def _scalar(field: FieldDescriptor, value: JsonValue) -> JsonValue:
    if field.enum_type is not None and isinstance(value, int):
        return str(field.enum_type.values_by_number[value].name)
    return value[:_MAX_TEXT] if isinstance(value, str) else value


def _chain(failure: Failure) -> Iterator[JsonValue]:
    """A failure and its causes, outermost first; no stack traces and no details."""
    while True:
        kind = failure.WhichOneof("failure_info") or "failure_info"
        info = failure.application_failure_info
        yield {"type": info.type or kind.removesuffix("_failure_info"), "message": failure.message[:_MAX_TEXT]}
        if not failure.HasField("cause"):
            return
        failure = failure.cause
