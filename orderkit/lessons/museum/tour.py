"""What the notebook holds in its hand: `museum = Museum(lab)`, then `await museum.visit("free-tea")`."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress

from temporalio.client import Client
from temporalio.service import RPCError

from orderkit.audit.audit import audit
from orderkit.core.faults import FaultPlan, parse_plan
from orderkit.core.orders import ENDS, OrderId, order_workflow_id
from orderkit.errors import OrderkitError, WaitExpired
from orderkit.lab.lab import Lab
from orderkit.lessons.museum.display import Listing, Visit, lasting
from orderkit.lessons.museum.exhibits import EXHIBITS, Exhibit
from orderkit.lessons.museum.run import Ran, run_exhibit, run_mended
from orderkit.lessons.reconcile_passes import between_passes
from orderkit.store.database import Pool
from orderkit.store.events import Reader
from orderkit.worker.reconcile import reconcile_now

_TIDY_SECONDS = 30.0


class Museum:
    """The exhibits by name. Each visit runs a new order on the lab's servers; the museum brings its own worker."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._visits: dict[str, Visit] = {}  # the last one to each exhibit
        self._hints: Counter[str] = Counter()

    async def visit(self, name: str, faults: str = "") -> Visit:
        """Run a new order through the exhibit; `faults` replaces its own. The order is called like the exhibit.

        Raises InvalidFaultPlan.
        """
        exhibit = find(name)
        client, pool = await self._servers()
        if exhibit.execution_timeout is not None:
            await between_passes(exhibit.deadline_seconds)
        ran = await run_exhibit(exhibit, client, pool, _plan(faults))
        self._visits[name] = await self._seen(exhibit, ran, faults)
        return self._visits[name]

    async def mended(self, name: str, faults: str = "") -> Visit:
        """The same order, faults and messages with OrderWorkflow, on the lab's own workers. Raises WaitExpired."""
        exhibit = find(name)
        ran = await run_mended(exhibit, *await self._servers(), _plan(faults))
        if ran.status == "running":
            raise _nobody_works(f"{ran.order_id} has not ended within its deadline")
        return await self._seen(exhibit, ran, faults)

    def last(self, name: str) -> Visit | None:
        """The last visit to an exhibit."""
        return self._visits.get(find(name).name)

    def hint(self, name: str) -> str:
        """The exhibit's next hint; the last one stays."""
        hints = find(name).hints
        self._hints[name] += 1
        number = min(self._hints[name], len(hints))
        return f"Hint {number} of {len(hints)}: {hints[number - 1]}"

    async def compare(self) -> Listing:
        """Each exhibit that was visited, beside OrderWorkflow under the same faults and messages."""
        visits = list(self._visits.values())
        # One after the other: together they would miss the 4 seconds that some of them have, on a busy machine.
        mended = [await self.mended(visit.exhibit.name, visit.faults) for visit in visits]
        rows = [
            (visit.exhibit.title, _found(visit), other.state, _found(other))
            for visit, other in zip(visits, mended, strict=True)
        ]
        return Listing(("exhibit", "the auditor found", "OrderWorkflow ended as", "and there it found"), tuple(rows))

    def answers(self) -> Listing:
        """How each exhibit is mended, and which file does it right."""
        rows = tuple((exhibit.title, exhibit.fix, exhibit.right) for exhibit in EXHIBITS)
        return Listing(("exhibit", "mended by", "see"), rows)

    async def tidy(self) -> Listing:
        """Terminate what still runs, from earlier kernels too; then let reconcile settle what is open.

        Raises WaitExpired.
        """
        client, pool = await self._servers()
        left_open = [visit for visit in self._visits.values() if visit.state not in ENDS]
        types = ", ".join(f"'{exhibit.workflow.__name__}'" for exhibit in EXHIBITS)
        listed = client.list_workflows(f"ExecutionStatus = 'Running' AND WorkflowType IN ({types})")
        running = {execution.id async for execution in listed}
        for workflow_id in running | {order_workflow_id(visit.order_id) for visit in left_open}:
            with suppress(RPCError):  # it has ended
                await client.get_workflow_handle(workflow_id).terminate(reason="end of the visit")
        try:
            async with asyncio.timeout(_TIDY_SECONDS):
                await reconcile_now(client)
        except TimeoutError:
            raise _nobody_works(f"reconcile has not answered within {_TIDY_SECONDS:g} s") from None
        rows = [(visit.exhibit.title, await _state(pool, visit.order_id)) for visit in left_open]
        return Listing(("exhibit", "its order is now"), tuple(rows))

    def __repr__(self) -> str:
        return repr(self._catalogue())

    def _repr_html_(self) -> str:
        return self._catalogue()._repr_html_()

    def _catalogue(self) -> Listing:
        return Listing(("exhibit", "somebody said"), tuple((exhibit.name, exhibit.symptom) for exhibit in EXHIBITS))

    async def _servers(self) -> tuple[Client, Pool]:
        return await self._lab.connect_temporal(), await self._lab.open_pool()

    async def _seen(self, exhibit: Exhibit, ran: Ran, faults: str) -> Visit:
        client, pool = await self._servers()
        found = (await audit(pool, client, [ran.order_id])).findings
        reader = Reader(pool)
        return Visit(
            exhibit=exhibit,
            faults=faults,
            order_id=ran.order_id,
            state=await _state(pool, ran.order_id),
            workflow=ran.status.replace("_", " "),
            attempts=tuple((row["step"], row["outcome"]) for row in await reader.attempts(ran.order_id)),
            ledger=tuple(row["kind"] for row in await reader.ledger(ran.order_id)),
            findings=tuple((each.kind, lasting(each.kind, each.evidence)) for each in found),
        )


def find(name: str) -> Exhibit:
    """The exhibit of this name; raises OrderkitError."""
    for exhibit in EXHIBITS:
        if exhibit.name == name:
            return exhibit
    names = ", ".join(exhibit.name for exhibit in EXHIBITS)
    raise OrderkitError(f"the museum has no {name!r}; it has: {names}")


def _plan(faults: str) -> FaultPlan | None:
    return parse_plan(faults) if faults else None


def _found(visit: Visit) -> str:
    return ", ".join(visit.kinds) or "nothing"


async def _state(pool: Pool, order_id: OrderId) -> str:
    row = await Reader(pool).order(order_id)
    return str(row["state"]) if row else "not received"


def _nobody_works(what: str) -> WaitExpired:
    return WaitExpired(what, ["does a worker poll order-tq and shipping-tq? Look: await lab.doctor()"])
