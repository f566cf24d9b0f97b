"""`Lab`: what a notebook works with. Every call has a time limit, and says why when it gives up."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from orderkit.analysis.markup import escape
from orderkit.classroom import notebook as classroom
from orderkit.client import OrderkitClient
from orderkit.errors import LabError
from orderkit.event_loops import PerLoop
from orderkit.lab.charts import Charts
from orderkit.lab.display import Audit, Joined, Links, Order
from orderkit.lab.forgotten_await import notice_forgotten_await
from orderkit.lab.interrupts import make_interruptible
from orderkit.lab.magics import offer_magics
from orderkit.lab.orders import Orders
from orderkit.lab.progress import passing, say, with_progress
from orderkit.lab.tables import Tables
from orderkit.lab.tests import Tests
from orderkit.lab.workflows import Workflows
from orderkit.stack.controls import ServerControl, WorkerControl
from orderkit.stack.programs import PROGRAMS, is_spare
from orderkit.stack.stack import Stack, find_stack
from orderkit.stack.target import Place, Target, find_place

if TYPE_CHECKING:
    import pandas as pd
    from temporalio.client import Client

    from orderkit.console import Console
    from orderkit.core.faults import FaultPlan
    from orderkit.lab.load import LoadRun
    from orderkit.store.database import Pool

# Without logging set up, warnings would show in the cell, for example when a lesson kills a server on purpose.
for library in ("asyncpg", "temporalio"):
    logging.getLogger(library).addHandler(logging.NullHandler())

notice_forgotten_await()  # here, since `Lab.start()` itself can lack its await

_homes_set: dict[str, str] = {}  # what Lab.start put into ORDERKIT_HOME; the user did not set it


def _forget_lost_home() -> None:
    """If the folder around the last lab was moved, look for a lab again, and do not create that folder."""
    told = os.environ.get("ORDERKIT_HOME", "")
    if told and told == _homes_set.get("last") and not Path(told).parent.is_dir():
        del os.environ["ORDERKIT_HOME"]


class Lab:
    """`lab = await Lab.start()`, then `lab.orders`, `lab.workers`, `lab.workflows`, `lab.charts` …

    About orders that run again under the same name, see `Orders`.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._stack = target.stack
        self._pool = PerLoop(self._open_pool)
        self._client = PerLoop(self._connected_client)
        self._console: Console | None = None
        self._api = api = OrderkitClient(target.api_url, target.settings.api_key)
        self._tables = tables = Tables(api, self.open_pool)
        #: Start orders, talk to them, wait for them, read what happened.
        self.orders = Orders(api, tables, self.connect_temporal, target.settings.temporal_ui_url)
        #: Your own workflows, from `%%workflow` cells.
        self.workflows = Workflows(self._own_stack, self.connect_temporal, target.settings.temporal_ui_url)
        #: Tests of your workflows, from `%%test` cells.
        self.tests = Tests(self._own_stack)
        #: Charts of orders.
        self.charts = Charts(self.orders, tables)
        #: Kill, stop and start the worker processes.
        self.workers = WorkerControl(self._own_stack, passing, say)
        #: Kill PostgreSQL.
        self.postgres = ServerControl("postgres", self._own_stack, passing, say)
        #: Kill Temporal's server.
        self.temporal = ServerControl("temporal", self._own_stack, passing, say)
        #: Kill the REST API.
        self.api = ServerControl("api", self._own_stack, passing, say)

    @classmethod
    async def start(cls, home: Path | str | None = None) -> Self:
        """Start what is missing of the lab; takes seconds. Raises LabError with the evidence.

        Where ORDERKIT_DATABASE_URL and TEMPORAL_* name servers from outside (compose, a cluster), it uses those, and
        starts only workers and the API. Sets ORDERKIT_HOME for the kernel, so that `!orderkit order list` in a cell
        means the same lab.
        """
        make_interruptible()
        _forget_lost_home()
        place = find_place(home)
        stack = find_stack(place.home) if place.home.is_dir() else None
        stack = await _up(place, quiet=stack is not None and stack.alive())
        os.environ["ORDERKIT_HOME"] = _homes_set["last"] = str(place.home)
        lab = cls(Target.of_stack(stack))
        offer_magics(lab.workflows, lab.tests)
        classroom.resume(lab.home)
        return lab

    @property
    def target(self) -> Target:
        """The lab's servers, and how to reach them, for `orderkit.stack`."""
        return self._target

    @property
    def home(self) -> Path:
        """The lab's folder."""
        return self._target.settings.home

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which a process finds this lab's servers; none if the environment names them already."""
        return self._stack.environment() if self._stack else {}

    async def console(self) -> Console:
        """The order console, live; the same one each time, until it is closed."""
        from orderkit.console import open_console

        if self._console is None or self._console.closed:
            workers = self.workers if self._stack else None
            self._console = open_console(self._api, self._target.database_url, workers)
        return await self._console.ready()

    async def join(self, word: str, name: str) -> Joined:
        """Join a class: `await lab.join("otter-plum-lamp@192.168.1.5", name="Ada")`, with the word of its board.

        From then on the board hears name, lesson, round, prediction and verdict (of a check; or that a cell waits, or a
        wait gave up), and nothing else: from each notebook of this lab, until you `leave` or for 12 hours. What the
        instructor says to all stands below the next cell that you run. Raises LabError.
        """
        return Joined(*await classroom.join(self.home, word, name))

    async def leave(self) -> None:
        """Leave the class: its board forgets you, and hears nothing any more."""
        await classroom.leave(self.home)

    async def close(self) -> None:
        """Close the connections. The stack runs on, and the next call opens them again.

        The workers of `%%workflow` cells end.
        """
        self.workflows.close()
        if self._console is not None:
            await self._console.aclose()
        for opened in (self._api, self._pool, self._client):
            await opened.aclose()

    @property
    def urls(self) -> Links:
        """Temporal's UI and the API's page, to click on."""
        ui = self._target.settings.temporal_ui_url
        return Links({"Temporal's UI": ui, "the REST API": self._target.docs_url})

    async def load(
        self,
        name: str = "load",
        orders: int = 50,
        concurrency: int = 20,
        *,
        faults: str | FaultPlan = "calm",
        seed: int = 0,
        policy: str = "spec",
        deadline: float = 120.0,
        within_seconds: float = 300.0,
    ) -> LoadRun:
        """Run so many orders, `concurrency` of them open at once: `name01`, `name02` …; wait for all, and audit them.

        There is no review. An interrupt starts no more, and audits what was started.
        """
        from orderkit.lab.load import run_load

        return await run_load(
            self.orders, self.open_pool, self.connect_temporal, name, orders, concurrency, deadline, within_seconds,
            faults=faults, seed=seed, policy=policy, review="none",
        )  # fmt: skip

    async def audit(self, *orders: Order | str) -> Audit:
        """Compare Temporal's history, the tables and the outside ledgers: of these orders, or this notebook's.

        Raises LabError where this notebook has none: nothing wrong with no order would sound like all is well.
        """
        from orderkit.audit.audit import audit

        if not orders and not self.orders.started:
            raise LabError("no order was started since this kernel started; name some: await lab.audit('tea')")
        found = [await self.orders.find(order) for order in orders or self.orders.started]
        report = await audit(await self.open_pool(), await self.connect_temporal(), [order.id for order in found])
        names = {str(order.id): order.name for order in found}
        findings = tuple((names.get(f.order_id, f.order_id), f.kind.value, f.evidence) for f in report.findings)
        return Audit(report.orders, findings)

    async def failures(self, *orders: Order | str, full: bool = False) -> pd.DataFrame:
        """The attempts that did not complete, of these orders or of the last hour: step, kind, attempts, last_error.

        `full` as analysis.operations.FAILURES, over time.
        """
        ids = [(await self.orders.find(order)).id for order in orders]
        return await self._tables.failures(ids or None, full)

    async def logs(self) -> pd.DataFrame:
        """What the API and the workers wrote into their logs, as analysis.operations.LOGS, oldest first."""
        from orderkit.analysis.operations import read_logs
        from orderkit.lab.frame import Table

        stack = self._own_stack()
        programs = sorted({"api", *stack.workers()})
        return Table(await asyncio.to_thread(read_logs, {name: stack.log(name) for name in programs}))

    async def metrics(self, begins: str = "") -> pd.DataFrame:
        """The metrics that Prometheus would read now from the API and each worker: program, metric, labels, value.

        Only metrics whose names begin so; without the buckets of histograms. A program that does not answer has none.
        """
        from orderkit.analysis.operations import metrics_frame
        from orderkit.lab.frame import Table
        from orderkit.lab.scraping import scraped

        urls = await asyncio.to_thread(self._own_stack().metrics_urls)
        texts = {name: await scraped(url, self._target) for name, url in urls.items()}
        return Table(metrics_frame({name: text for name, text in texts.items() if text}, begins))

    async def doctor(self) -> pd.DataFrame:
        """What is wrong, and how to repair it. Columns: ok, check, found, what to do."""
        from orderkit.doctor.doctor import doctor
        from orderkit.lab.frame import Table

        checks = await asyncio.to_thread(doctor, self._target.settings.home)
        rows = [("✔" if c.ok else "✖", c.name, c.detail, "" if c.ok else c.remedy) for c in checks]
        return Table(rows, columns=["ok", "check", "found", "what to do"])

    def __repr__(self) -> str:
        if self._stack is None:
            return "Lab: the servers that the environment names"
        return "Lab: " + ", ".join(f"{name} {state}" for name, state in self._states().items())

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(name)}</td><td>{'✔' if state == 'running' else '…'} {escape(state)}</td></tr>"
            for name, state in self._states().items()
        )
        return f'<table style="font-size:115%">{rows}</table>' if rows else f"<p>{escape(repr(self))}</p>"

    def _states(self) -> dict[str, str]:
        """Each program's state, servers elsewhere too; it counts as running from its first moment on."""
        if self._stack is None:
            return {}
        try:
            known, extra = self._stack.supervisor.processes(), self.workers.extra
        except LabError:
            return {"the lab": "stopped; start it: lab = await Lab.start()"}
        shown = sorted(
            (PROGRAMS.index(name.partition("-")[0]), name)
            for name in known
            if known[name].started_at and not is_spare(name, known[name].state)
        )
        states = self._stack.elsewhere.states() if self._stack.elsewhere else {}
        states |= {name: known[name].state for _, name in shown}
        return {name: "running" if state == "starting" else state for name, state in states.items()} | dict.fromkeys(
            extra, "running"
        )

    def _own_stack(self) -> Stack:
        if self._stack is None:
            raise LabError("no lab was started here: lab = await Lab.start()")
        return self._stack

    async def open_pool(self) -> Pool:
        """A pool of connections to the database; the same one each time, until `close`."""
        return await self._pool.get()

    async def connect_temporal(self) -> Client:
        """A client of Temporal; the same one each time, until `close`."""
        return await self._client.get()

    @asynccontextmanager
    async def _open_pool(self) -> AsyncIterator[Pool]:
        from orderkit.store.database import open_pool

        async with open_pool(self._target.database_url, size=4) as pool:
            yield pool

    @asynccontextmanager
    async def _connected_client(self) -> AsyncIterator[Client]:
        from orderkit.temporal.client import connect_temporal

        yield await connect_temporal(self._target.temporal)


async def _up(place: Place, quiet: bool) -> Stack:
    from orderkit.stack.lifecycle import up

    return await with_progress(lambda tell: up(place.home, elsewhere=place.elsewhere, progress=tell), quiet=quiet)
