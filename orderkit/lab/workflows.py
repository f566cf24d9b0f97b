"""`lab.workflows`: your own workflows, written in cells and served by separate workers."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orderkit.cells.check import as_module, mistakes_in, notes_on, read
from orderkit.cells.code import Function
from orderkit.cells.mistakes import Mistake
from orderkit.errors import LabError, RunEnded, WaitExpired
from orderkit.lab.cell_code import check_arguments, module_name, refused, snake
from orderkit.lab.cells import CellWorkers, Refused, folder_of, queue_of
from orderkit.lab.display import Links, Module, Run
from orderkit.lab.inputs import check_seconds
from orderkit.lab.numbering import numbered
from orderkit.lab.run_evidence import explain_run, failing_now, told_failing
from orderkit.stack.controls import FindStack

if TYPE_CHECKING:
    import pandas as pd
    from temporalio.client import Client, WorkflowExecutionDescription, WorkflowHandle

    from orderkit.temporal.failing import FailingTask

_LOOK_SECONDS = 0.1
_ANSWER_SECONDS = 5.0
_LOG_LINES = 20


class Workflows:
    """Runs of the workflows in this notebook's `%%workflow` cells, by name.

    `start("Tea", "ada")` always starts a new run, called `tea`; its id is `tea`, or `tea-2` … when that is taken.
    """

    def __init__(self, find_stack: FindStack, connect: Callable[[], Awaitable[Client]], ui_url: str) -> None:
        self._find_stack = find_stack
        self._connect = connect
        self._ui_url = ui_url
        self._workers = CellWorkers(find_stack)
        self._modules: dict[str, str] = {}  # by workflow
        self._takes: dict[str, Function] = {}  # each workflow's run
        self._signals: dict[str, dict[str, Function]] = {}  # each workflow's, by name
        self._served_at: dict[str, datetime] = {}  # each module, since when with its present code
        self._runs: dict[str, Run] = {}
        self._numbers: dict[str, int] = {}  # of each name's last run

    @property
    def started(self) -> dict[str, Run]:
        """The runs of this notebook, oldest first: the last one of each name."""
        return dict(self._runs)

    def define(self, cell: str, module: str = "", *, checked: bool = True) -> Module:
        """Check a `%%workflow` cell, write it to a file, and serve it instead of its earlier version.

        Raises CellRefused, which names the lines; then nothing has changed. Takes a second, and holds up the kernel.
        Not `checked`: the worker starts if Temporal allows it, and mistakes show when the code runs.
        """
        text = as_module(cell)
        code = read(text)
        if isinstance(code, Mistake):
            raise refused([code], text)
        if not (code.functions or code.classes):
            return Module(module, (), (), ("nothing is in it yet: write a class with @workflow.defn",))
        module = module_name(code, module)
        if checked and (mistakes := mistakes_in(code)):
            raise refused(mistakes, text)
        runs = {run.id: run.name for run in self._runs.values() if self._modules.get(run.workflow) == module}
        try:
            found = self._workers.serve(module, text, runs, replay=checked)
        except Refused as why:
            raise refused(why.mistakes, text) from None
        self._served_at[module] = datetime.now(UTC)
        self._modules |= dict.fromkeys(found["workflows"], module)
        for cls in code.workflows:
            for run in code.decorated(cls, "temporalio.workflow.run").values():
                self._takes[cls.name] = run
            self._signals[cls.name] = code.decorated(cls, "temporalio.workflow.signal")
        notes = tuple(note.told(text) for note in notes_on(code))
        return Module(module, tuple(found["workflows"]), tuple(found["activities"]), notes)

    def close(self) -> None:
        """End the workers of all modules; running a cell again starts its worker."""
        self._workers.close()

    def file(self, module: str) -> Path:
        """Where the module of a cell is, for an editor or for pytest."""
        return folder_of(self._find_stack()) / f"{module}.py"

    def log(self, module: str) -> str:
        """The end of what the module's worker has written: `print`, `workflow.logger`, errors."""
        path = self._find_stack().log(queue_of(module))
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return "\n".join(lines[-_LOG_LINES:])

    async def start(self, workflow: str, *arguments: Any, name: str = "") -> Run:
        """Start a new run of a workflow, by its class's name; `name` is what this notebook calls it.

        Raises LabError where no cell defines it, or it takes other arguments.
        """
        from temporalio.common import WorkflowIDReusePolicy
        from temporalio.exceptions import WorkflowAlreadyStartedError

        from orderkit.temporal.orders import TASK_TIMEOUT

        module = self._module_of(workflow)
        if workflow in self._takes:
            check_arguments(f"{workflow}.run", self._takes[workflow], arguments)
        name = name or snake(workflow)
        client = await self._connect()
        number = self._numbers.get(name, 0) + 1
        while True:
            try:
                await client.start_workflow(
                    workflow,
                    args=list(arguments),
                    id=numbered(name, number),
                    task_queue=queue_of(module),
                    task_timeout=TASK_TIMEOUT,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                )
                break
            except WorkflowAlreadyStartedError:
                number += 1
        self._numbers[name] = number
        self._runs.pop(name, None)
        self._runs[name] = Run(name, numbered(name, number), workflow)
        return self._runs[name]

    async def signal(self, run: Run | str, signal: str, *arguments: Any) -> str:
        """Send a signal, which has no answer. Raises LabError if the cell has no handler for it, or RunEnded."""
        from temporalio.service import RPCError, RPCStatusCode

        known = self._find(run)
        handlers = self._signals.get(known.workflow)
        if handlers and signal not in handlers:
            raise LabError(f"{known.workflow} has no signal {signal!r}; it has: {', '.join(handlers)}")
        if handlers:
            check_arguments(f"{known.workflow}.{signal}", handlers[signal], arguments)
        try:
            await self._handle(known, await self._connect()).signal(signal, args=list(arguments))
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise LabError(f"the signal was not sent: {error.message}") from None
            raise RunEnded(f"run {known.name} has ended, so it takes no signal; start another one") from None
        return f"sent: {signal}"

    async def query(self, run: Run | str, query: str, *arguments: Any) -> Any:
        """Query a run. Raises WaitExpired, with the reason, if its worker does not answer within 5 s."""
        return await self._answered(run, f"query {query}", lambda handle: handle.query(query, args=list(arguments)))

    async def update(self, run: Run | str, update: str, *arguments: Any) -> Any:
        """Send an update, and wait for its answer; see `query`."""
        return await self._answered(
            run, f"update {update}", lambda handle: handle.execute_update(update, args=list(arguments))
        )

    async def wait(self, run: Run | str, within_seconds: float = 30) -> Run:
        """Wait for a run's end. Raises WaitExpired, which says why it has not ended.

        If the workflow's code fails, it does so at once: the run stands still until the corrected cell runs.
        """
        check_seconds("within_seconds", within_seconds)
        from temporalio.client import WorkflowExecutionStatus

        known, client = self._find(run), await self._connect()
        handle = self._handle(known, client)
        until = asyncio.get_running_loop().time() + within_seconds
        while True:
            description = await handle.describe()
            if description.status is not WorkflowExecutionStatus.RUNNING:
                return await _ended(known, handle)
            if asyncio.get_running_loop().time() > until:
                what = f"run {known.name} has not ended within {within_seconds:g} s"
                raise WaitExpired(what, await self._evidence(known, client))
            if failing := await self._failing(known, description, client):
                what = f"run {known.name} stands still: its code fails, and Temporal tries it again and again"
                raise WaitExpired(what, told_failing(failing, self._modules.get(known.workflow, "")))
            await asyncio.sleep(_LOOK_SECONDS)

    async def history(self, run: Run | str, full: bool = False) -> pd.DataFrame:
        """What Temporal has recorded: type, name; `full` has ids, times, attempts and workflow tasks too."""
        from orderkit.analysis.frames import Frame
        from orderkit.api.history import summarise
        from orderkit.contract import History
        from orderkit.lab.frame import Table
        from orderkit.lab.tables import history_rows

        known = self._find(run)
        fetched = await self._handle(known, await self._connect()).fetch_history()
        events = [summarise(event) for event in fetched.events]
        history = History(
            workflow_id=known.id, run_id=fetched.run_id, status=known.state, events=events, next_after=None
        )
        frame: pd.DataFrame = Frame(history_rows(history))
        if full:
            return frame
        return Table(frame[~frame["type"].str.startswith("WORKFLOW_TASK_")][["type", "name"]].reset_index(drop=True))

    async def save_history(self, run: Run | str) -> Path:
        """Write a run's whole history to a file beside the modules, for a test that replays it."""
        known = self._find(run)
        history = await self._handle(known, await self._connect()).fetch_history()
        path = folder_of(self._find_stack()) / f"{known.name}.json"
        await asyncio.to_thread(path.write_text, history.to_json())
        return path

    async def terminate(self, run: Run | str, reason: str = "") -> Run:
        """End a run at once; its code does not notice. A run that has ended stays as it is."""
        from temporalio.service import RPCError

        known = self._find(run)
        handle = self._handle(known, await self._connect())
        with suppress(RPCError):
            await handle.terminate(reason=reason or None)
        return await _ended(known, handle)

    async def links(self, run: Run | str) -> Links:
        """Where Temporal's UI shows the run."""
        known, client = self._find(run), await self._connect()
        page = f"{self._ui_url}/namespaces/{client.namespace}/workflows/{known.id}"
        return Links({f"{known.name} in Temporal's UI": page})

    def _module_of(self, workflow: object) -> str:
        if isinstance(workflow, str) and workflow in self._modules:
            return self._modules[workflow]
        there = ", ".join(map(repr, self._modules)) or "none yet"
        raise LabError(f"no cell of this notebook defines {workflow!r} (defined: {there}); run its %%workflow cell")

    def _find(self, run: Run | str) -> Run:
        if isinstance(run, Run):
            return run
        if run in self._runs:
            return self._runs[run]
        why = "; put await before the call that gave you this one" if inspect.isawaitable(run) else ""
        there = ", ".join(self._runs) or "none yet"
        raise LabError(f"this notebook has started no run {run!r} (started: {there}){why}")

    def _handle(self, run: Run | str, client: Client) -> WorkflowHandle[Any, Any]:
        return client.get_workflow_handle(self._find(run).id)

    async def _answered(
        self, run: Run | str, what: str, ask: Callable[[WorkflowHandle[Any, Any]], Awaitable[Any]]
    ) -> Any:
        from temporalio.client import WorkflowQueryFailedError, WorkflowUpdateFailedError
        from temporalio.service import RPCError

        known, client = self._find(run), await self._connect()
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await ask(self._handle(known, client))
        except (WorkflowQueryFailedError, WorkflowUpdateFailedError) as error:
            raise LabError(f"run {known.name} refuses {what}: {error.__cause__ or error}") from None
        except (TimeoutError, RPCError):
            evidence = await self._evidence(known, client)
            raise WaitExpired(f"run {known.name} has not answered {what}", evidence) from None

    async def _evidence(self, run: Run, client: Client) -> list[str]:
        module = self._modules.get(run.workflow, "")
        if module and not self._workers.alive(module):
            return [f"its worker has ended: run the %%workflow cell of {run.workflow} again"]
        description = await client.get_workflow_handle(run.id).describe()
        if failing := await self._failing(run, description, client):
            return told_failing(failing, module)
        return await explain_run(client, description, module, list(self._signals.get(run.workflow, {})))

    async def _failing(self, run: Run, description: WorkflowExecutionDescription, client: Client) -> FailingTask | None:
        return await failing_now(client, description, self._served_at.get(self._modules.get(run.workflow, "")))


async def _ended(run: Run, handle: WorkflowHandle[Any, Any]) -> Run:
    """The run as it ended, with its result or what it failed with."""
    from temporalio.client import WorkflowFailureError

    description = await handle.describe()
    state = description.status.name.lower() if description.status else "running"
    try:
        return Run(run.name, run.id, run.workflow, state, result=await handle.result())
    except WorkflowFailureError as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        kind = getattr(cause, "type", None) or type(cause).__name__
        message = getattr(cause, "message", str(cause))
        return Run(run.name, run.id, run.workflow, state, failure=f"{kind}: {message}" if message else kind)
