"""The worker process of a cell: `python -m orderkit.cells.serve`, told what to serve in one line of its input.

It answers in lines of JSON: `{"found": …}`, or `{"mistakes": […]}` and ends; once told to go on, `{"ready": …}`. It
ends when its input does, so with the kernel, however that dies. What the learner's code prints goes to its log.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TextIO

from orderkit.cells.mistakes import Mistake
from orderkit.cells.modules import KeptModules

if TYPE_CHECKING:
    from temporalio.client import Client, WorkflowHistory
    from temporalio.worker import Worker

_THREADS = 10  # for activities without async
_MOST_REPLAYED = 20
_MISFIT = re.compile(r"(\w+) machine does not handle this event: HistoryEvent\(id: (\d+), (\w+)\)")
_MISSING = re.compile(r"No command scheduled for event HistoryEvent\(id: (\d+), (\w+)\)")


@dataclass(frozen=True)
class Task:
    """What a process is to serve, and the runs that this kernel has started of it, the name of each by its id."""

    name: str
    folder: str
    text: str
    queue: str
    runs: dict[str, str]
    replay: bool  # whether the open runs must go on with it


def main() -> None:
    """See the module's docstring."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the log
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    task = Task(**json.loads(sys.stdin.buffer.readline()))
    KeptModules(Path(task.folder), task.name, task.text).install()
    asyncio.run(_serve(task, answers))


def _say(answers: TextIO, **told: object) -> None:
    answers.write(json.dumps(told) + "\n")
    answers.flush()


async def _serve(task: Task, answers: TextIO) -> None:
    file = str(Path(task.folder) / f"{task.name}.py")
    try:
        module = importlib.import_module(task.name)
        workflows, activities = definitions(module)
        prepare(workflows)
    except BaseException as error:
        _say(answers, mistakes=[asdict(mistake_of(error, file))])
        return
    client = await _connect()
    if mistakes := [each async for each in _misfits(client, task, workflows, file)]:
        _say(answers, mistakes=[asdict(each) for each in mistakes])
        return
    with ThreadPoolExecutor(_THREADS) as threads:
        try:
            worker = _worker(client, task.queue, workflows, activities, threads)
        except Exception as error:  # such as two activities of one name
            _say(answers, mistakes=[asdict(mistake_of(error, file))])
            return
        found = {"workflows": [_type(each) for each in workflows], "activities": sorted(map(_name, activities))}
        _say(answers, found=found)
        if worker is not None and await asyncio.to_thread(sys.stdin.buffer.readline) != b"":
            threading.Thread(target=_end_with_input, daemon=True).start()
            async with worker:
                _say(answers, ready=True)
                await asyncio.Event().wait()


def _worker(
    client: Client, queue: str, workflows: list[type], activities: list[Any], threads: ThreadPoolExecutor
) -> Worker | None:
    """None where there is no workflow."""
    from temporalio.worker import Worker

    if not workflows:
        return None
    return Worker(
        client,
        task_queue=queue,
        workflows=workflows,
        activities=activities,
        activity_executor=threads,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=0.2),
    )


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


async def _connect() -> Client:
    from orderkit.settings import Settings
    from orderkit.temporal.client import TemporalSettings, connect_temporal

    return await connect_temporal(TemporalSettings.from_environment(Settings()))


def definitions(module: ModuleType) -> tuple[list[type], list[Any]]:
    """The workflows and activities that the module names, its own and those that it imports."""
    workflows: list[type] = []
    activities: list[Any] = []
    for value in vars(module).values():
        if isinstance(value, type) and "__temporal_workflow_definition" in vars(value):
            workflows.append(value)
        elif isinstance(value, type) and any(_is_activity(each) for each in vars(value).values()):
            made = value()
            activities += [getattr(made, name) for name, each in vars(value).items() if _is_activity(each)]
        elif _is_activity(value):
            activities.append(value)
    return workflows, activities


def _is_activity(value: object) -> bool:
    return callable(value) and hasattr(value, "__temporal_activity_definition")


def _type(workflow: Any) -> str:
    return str(workflow.__temporal_workflow_definition.name)


def _name(activity: Any) -> str:
    return str(activity.__temporal_activity_definition.name)


def prepare(workflows: list[type]) -> None:
    """Load each workflow into Temporal's sandbox, as the worker will; raises what the sandbox does not allow."""
    from temporalio import workflow
    from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

    for each in workflows:
        definition = workflow._Definition.must_from_class(each)
        SandboxedWorkflowRunner().prepare_workflow(definition)


def mistake_of(error: BaseException, file: str) -> Mistake:
    """The innermost cause, and the last line of the cell on the way to it."""
    chain = [error]
    while (inner := chain[-1].__cause__ or chain[-1].__context__) is not None and inner not in chain:
        chain.append(inner)
    lines = [
        frame.lineno or 0
        for each in reversed(chain)
        for frame in reversed(traceback.extract_tb(each.__traceback__))
        if frame.filename == file
    ]
    cause = chain[-1]
    line = lines[0] if lines else 0
    if isinstance(cause, SyntaxError) and cause.filename == file:
        line = cause.lineno or line
    message, _, _ = str(cause).partition(". If this is code")
    if type(cause).__name__ == "NondeterminismError":
        return Mistake(line, _misfit(message))
    if type(cause).__name__ == "RestrictedWorkflowAccessError":
        instead = "leave it to an activity. An import for activities: with workflow.unsafe.imports_passed_through():"
        return Mistake(line, f"Temporal's sandbox: {message}", instead)
    return Mistake(line, f"{type(cause).__name__}: {message}")


def _misfit(message: str) -> str:
    """What the SDK's core says of a history that does not fit, for people."""
    if found := _MISFIT.search(message):
        kind, event, recorded = found.groups()
        return f"event {event} is {recorded}, where the new code has something else ({kind.lower()})"
    if found := _MISSING.search(message):
        event, recorded = found.groups()
        return f"event {event} is {recorded}, and the new code does nothing of the kind there"
    told = message.partition("Nondeterminism error: ")[2] or message
    return told.partition('"')[0]


async def _misfits(client: Client, task: Task, workflows: list[type], file: str) -> AsyncIterator[Mistake]:
    """The open runs that this code could not go on with: their histories do not replay."""
    from temporalio.worker import Replayer

    if not (workflows and task.replay):
        return
    caught = _Caught()
    logging.getLogger("temporalio.worker").addHandler(caught)
    replayer = Replayer(workflows=workflows, data_converter=client.data_converter)
    for run_id, name in (await _open_runs(client, task)).items():
        caught.errors.clear()
        history = await client.get_workflow_handle(run_id).fetch_history()
        result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
        if result.replay_failure is None:
            continue
        cause = mistake_of(caught.errors[-1] if caught.errors else result.replay_failure, file)
        what = f"run {name} is open, and its history does not replay with this code: {cause.what}"
        yield Mistake(
            cause.line or _line_of_run(workflows, history, task.text),
            what,
            f'the old code again, or: await lab.workflows.terminate("{name}")',
        )
    logging.getLogger("temporalio.worker").removeHandler(caught)


def _line_of_run(workflows: list[type], history: WorkflowHistory, text: str) -> int:
    """Where the code of a run begins."""
    kind = history.events[0].workflow_execution_started_event_attributes.workflow_type.name
    for each in workflows:
        definition = each.__temporal_workflow_definition  # type: ignore[attr-defined]
        if definition.name == kind:
            first: int = definition.run_fn.__code__.co_firstlineno  # of its decorators
            return next(n for n, line in enumerate(text.splitlines(), 1) if n >= first and "def " in line)
    return 0


async def _open_runs(client: Client, task: Task) -> dict[str, str]:
    """This kernel's runs, and those that Temporal lists of kernels before it; names by ids."""
    from temporalio.client import WorkflowExecutionStatus

    found = {}
    for run_id, name in list(task.runs.items())[-_MOST_REPLAYED:]:
        description = await client.get_workflow_handle(run_id).describe()
        if description.status is WorkflowExecutionStatus.RUNNING:
            found[run_id] = name
    listed = client.list_workflows(f"ExecutionStatus = 'Running' AND TaskQueue = '{task.queue}'", limit=_MOST_REPLAYED)
    async for each in listed:
        if each.id not in task.runs:
            found[each.id] = each.id
    return found


class _Caught(logging.Handler):
    """Keeps the errors that the SDK logs while it replays: with their tracebacks, so with their lines."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1]:
            self.errors.append(record.exc_info[1])


if __name__ == "__main__":
    main()
