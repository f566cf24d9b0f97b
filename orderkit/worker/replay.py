"""Whether the installed code replays a history; ask this before a deployment breaks a running order."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from orderkit.core.orders import OrderId, order_workflow_id
from orderkit.errors import DependencyUnavailable, OrderNotFound, SettingsError
from orderkit.temporal.client import data_converter
from orderkit.temporal.server import quiet_runtime
from orderkit.workflows.order import OrderWorkflow
from orderkit.workflows.reconcile import ReconcileWorkflow
from orderkit.workflows.shipping import ShippingWorkflow

WORKFLOWS: tuple[type, ...] = (OrderWorkflow, ShippingWorkflow, ReconcileWorkflow)

_OTHER_ACTIVITY = re.compile(
    r"Activity type of scheduled event '(?P<recorded>[^']*)' does not match activity type of activity command "
    r"'(?P<instead>[^']*)'"
)
_OTHER_CHILD = re.compile(r"[Cc]hild.*'(?P<recorded>[^']*)' does not match .*'(?P<instead>[^']*)'")
_OTHER_COMMAND = re.compile(r"(?P<machine>[\w ]+) machine does not handle this event: HistoryEvent\(id: (?P<id>\d+)")
_NO_COMMAND = re.compile(r"No command scheduled for event HistoryEvent\(id: (?P<id>\d+)")
_MESSAGE = re.compile(r'message: "(?P<message>(?:[^"\\]|\\.)*)"')
# What Temporal's SDK calls the part of the code's decision that did not fit.
_DECISIONS = {
    "activity": "starts an activity",
    "timer": "starts a timer",
    "childworkflow": "starts a child workflow",
    "completeworkflow": "ends the workflow",
    "failworkflow": "fails the workflow",
    "cancelworkflow": "ends the workflow as cancelled",
    "signalexternal": "sends a signal",
    "localactivity": "runs a local activity",
}


@dataclass(frozen=True)
class Replayed:
    """A history, and whether today's code makes the same decisions."""

    name: str  # the workflow's id, or the file's name
    workflow: str  # its type
    events: int
    ok: bool
    event: int | None = None  # where the code went another way; None where Temporal's SDK does not say
    why: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.workflow}): {self.why or f'replays, {self.events} events'}"


async def replay(
    histories: Sequence[WorkflowHistory],
    workflows: Sequence[type] = WORKFLOWS,
    converter: DataConverter | None = None,
) -> list[Replayed]:
    """Run the workflows' code along each history. No activity runs, and nothing is written anywhere."""
    replayer = Replayer(workflows=workflows, data_converter=converter or data_converter(()), runtime=quiet_runtime())
    return [await _replay(replayer, history, workflows) for history in histories]


async def _replay(replayer: Replayer, history: WorkflowHistory, workflows: Sequence[type]) -> Replayed:
    kind = workflow_type(history)
    events = list(history.events)
    result = Replayed(history.workflow_id, kind, len(events), ok=True)
    known = {_name_of(each) for each in workflows}
    if kind not in known:
        return _failed(result, None, f"this code has no such workflow, only {', '.join(sorted(known))}")
    error = (await replayer.replay_workflow(history, raise_on_replay_failure=False)).replay_failure
    if error is None:
        return result
    text = str(error)
    if not isinstance(error, NondeterminismError) and "[TMPRL1100]" not in text:
        told = _MESSAGE.search(text)
        return _failed(result, None, f"the code fails: {told['message'] if told else text.splitlines()[0]}")
    return _failed(result, *_difference(text, events))


def _failed(result: Replayed, event: int | None, why: str) -> Replayed:
    return Replayed(result.name, result.workflow, result.events, ok=False, event=event, why=why)


def _difference(text: str, events: Sequence[HistoryEvent]) -> tuple[int | None, str]:
    """Which event the code does not fit, and how: `at event 23 …; today's code … instead`."""
    if found := _OTHER_ACTIVITY.search(text) or _OTHER_CHILD.search(text):
        ids = [each.event_id for each in events if _what(each)[1] == found["recorded"]]
        where = " or ".join(map(str, ids[:3])) or "?"
        told = f"event {where} is {found['recorded']}, and today's code starts {found['instead']} there"
        return (ids[0] if len(ids) == 1 else None), told
    if found := _OTHER_COMMAND.search(text):
        machine = found["machine"].removeprefix("Nondeterminism error: ").strip()
        decided = _DECISIONS.get(machine.replace(" ", "").lower(), f"does something else ({machine})")
        return int(found["id"]), f"{_at(int(found['id']), events)}, and today's code {decided} there"
    if found := _NO_COMMAND.search(text):
        return int(found["id"]), f"{_at(int(found['id']), events)}, and today's code does nothing there"
    message = _MESSAGE.search(text)
    return None, message["message"] if message else text.splitlines()[0]


def _at(event_id: int, events: Iterable[HistoryEvent]) -> str:
    event = next((each for each in events if each.event_id == event_id), None)
    kind, name = _what(event) if event is not None else ("not in the history", "")
    return f"event {event_id} is {kind}{f' {name}' if name else ''}"


def _what(event: HistoryEvent) -> tuple[str, str]:
    """An event's kind in words, and the name of what it is about."""
    field = event.WhichOneof("attributes") or ""
    about = getattr(event, field, None)
    kind = field.removesuffix("_event_attributes").replace("_", " ")
    kind = {
        "activity task scheduled": "the activity",
        "timer started": "a timer",
        "start child workflow execution initiated": "the child workflow",
        "workflow execution completed": "the workflow's end",
        "marker recorded": "a marker",
    }.get(kind, kind)
    for name in ("activity_type", "workflow_type"):
        if hasattr(about, name):
            return kind, str(getattr(about, name).name)
    return kind, ""


def workflow_type(history: WorkflowHistory) -> str:
    """Of which type the history's workflow is."""
    for event in history.events:
        return str(event.workflow_execution_started_event_attributes.workflow_type.name)
    return ""


def read_history(path: Path) -> WorkflowHistory:
    """A history that was saved as JSON, called like its file. Raises SettingsError for what is none."""
    try:
        history = WorkflowHistory.from_json(path.stem, path.read_text())
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except Exception as error:
        raise SettingsError(f"{path} is not a history in JSON: {str(error).splitlines()[0]}") from None
    if not workflow_type(history):
        raise SettingsError(f"{path} is not a history: it does not begin with the start of a workflow")
    return history


async def histories_of(client: Client, order_id: OrderId) -> list[WorkflowHistory]:
    """Of an order and its shipping, as they are now. Raises OrderNotFound."""
    order = await _fetch(client, order_workflow_id(order_id))
    children = [
        event.child_workflow_execution_started_event_attributes.workflow_execution.workflow_id
        for event in order.events
        if event.HasField("child_workflow_execution_started_event_attributes")
    ]
    return [order, *[await _fetch(client, child) for child in dict.fromkeys(children)]]


async def running_histories(client: Client, workflows: Sequence[type] = WORKFLOWS) -> AsyncIterator[WorkflowHistory]:
    """Of every workflow of these types that runs, as far as Temporal's lists have come."""
    names = ", ".join(f"'{_name_of(each)}'" for each in workflows)
    async for each in client.list_workflows(f"ExecutionStatus = 'Running' AND WorkflowType IN ({names})"):
        try:
            yield await _fetch(client, each.id)
        except OrderNotFound:
            continue  # deleted meanwhile


def _name_of(workflow: type) -> str:
    return str(getattr(workflow, "__temporal_workflow_definition").name)


async def _fetch(client: Client, workflow_id: str) -> WorkflowHistory:
    try:
        return await client.get_workflow_handle(workflow_id).fetch_history()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise OrderNotFound(f"Temporal has no history of {workflow_id}") from error
        raise DependencyUnavailable("temporal", f"Temporal does not answer ({error.status.name.lower()})") from error
