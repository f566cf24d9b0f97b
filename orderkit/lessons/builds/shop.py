"""What the notebook holds in its hand: `shop = await Builds.open(lab)`, then `await shop.start("deaf")` …"""

from __future__ import annotations

import asyncio
import os
import re
from dataclasses import replace
from typing import Self

from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from orderkit.core.builds import UNVERSIONED
from orderkit.core.faults import FaultPlan
from orderkit.core.orders import OrderId, OrderInput, Review, order_workflow_id
from orderkit.lab.display import Order
from orderkit.lab.lab import Lab
from orderkit.lessons.builds.catalogue import LESSON_DEPLOYMENT, LESSON_QUEUE, code_of
from orderkit.lessons.museum.display import Listing
from orderkit.stack.builds import BuildWorker, start_build
from orderkit.store.events import Reader
from orderkit.temporal.deployments import Deployment
from orderkit.temporal.orders import TASK_TIMEOUT
from orderkit.worker.reconcile import reconcile_now
from orderkit.worker.replay import WORKFLOWS, histories_of, replay

_DEADLINE_SECONDS = 3600.0
_SETTLE_SECONDS = 30.0
_COMMAND = ("orderkit.lessons.builds.worker",)


class Builds:
    """The builds of DeafOrder, and orders on them. Each build is a worker process, which ends with the notebook."""

    def __init__(self, lab: Lab, client: Client) -> None:
        self._lab = lab
        self._client = client
        self._workers: dict[str, BuildWorker] = {}
        self._orders: dict[str, Order] = {}  # that were started here, by name
        self.deployment = Deployment(client, LESSON_DEPLOYMENT)

    @classmethod
    async def open(cls, lab: Lab) -> Self:
        """Begin as if no build had ever been promoted; what an earlier run has left open is settled."""
        found = cls(lab, await lab.connect_temporal())
        await found.close()
        return found

    async def start(self, build: str) -> Listing:
        """Start the worker of a build, in place of one that runs."""
        code_of(build)
        await self.stop(build)
        name = f"extra-{build}"
        environment = await self._lab.workers.make_room(name) if self._lab.environment else dict(os.environ)
        self._workers[build] = await start_build(self.deployment, build, (LESSON_QUEUE,), environment, _COMMAND)
        return await self.status()

    async def stop(self, build: str) -> None:
        """Stop the worker of a build, if there is one."""
        if worker := self._workers.pop(build, None):
            await worker.stop()

    async def promote(self, build: str) -> Listing:
        """All new orders go to this build."""
        await self.deployment.promote(build)
        return await self.status()

    async def ramp(self, build: str, percentage: float) -> Listing:
        """This share of new orders goes to this build."""
        await self.deployment.ramp(build, percentage)
        return await self.status()

    async def roll_back(self) -> Listing:
        """End the ramp, or return to the build before."""
        await self.deployment.roll_back()
        return await self.status()

    async def move(self, name: str, build: str) -> None:
        """Send a running order to this build."""
        await self.deployment.move((await self._find(name)).workflow_id, build)

    async def status(self) -> Listing:
        """The builds whose workers run, and who gets new orders."""
        rows = [
            (each.build_id, f"{each.share:g} %")
            for each in await self.deployment.status()
            if each.build_id in self._workers or (each.share and each.build_id != UNVERSIONED)
        ]
        return Listing(("build", "of new orders"), tuple(rows))

    async def order(self, *names: str) -> Listing:
        """Start orders that wait for a person's approval; returns when they do."""
        for name in names:
            self._orders[name] = Order(name, await self._start(name))
        await asyncio.gather(*(self._lab.orders.wait(self._orders[name], until="in_review") for name in names))
        return await self.orders(*names)

    async def approve(self, *names: str) -> None:
        """Say yes to these orders; does not wait for what becomes of it."""
        for name in names:
            await self._lab.orders.approve(await self._find(name))

    async def wait(self, *names: str, within_seconds: float = 45) -> Listing:
        """Until these orders have ended. Raises WaitExpired, which explains itself."""
        for name in names:
            await self._lab.orders.wait(await self._find(name), within_seconds=within_seconds)
        return await self.orders(*names)

    async def orders(self, *names: str) -> Listing:
        """Where orders stand, and which build has decided first and last what they do, by Temporal's history."""
        reader = Reader(await self._lab.open_pool())
        rows = []
        for name in names or self._orders:
            order = await self._find(name)
            row, history = await reader.order(order.id), self._client.get_workflow_handle(order.workflow_id)
            builds = [
                event.workflow_task_completed_event_attributes.deployment_version.build_id
                async for event in history.fetch_history_events()
                if event.HasField("workflow_task_completed_event_attributes")
            ] or ["none"]
            rows.append((name, row["state"] if row else "unknown", builds[0], builds[-1]))
        return Listing(("order", "state", "began on", "is on"), tuple(rows))

    async def result(self, name: str) -> str:
        """What the workflow of an order that has ended says of it."""
        handle = self._client.get_workflow_handle((await self._find(name)).workflow_id)
        return str((await handle.result())["reason"])

    async def replay(self, *names: str, build: str | None = None) -> Listing:
        """Whether a build's code replays what these orders have been through; without a build, orderkit's own."""
        code = [code_of(build)] if build else WORKFLOWS
        rows = []
        for name in names:
            order_id = (await self._find(name)).id
            histories = await histories_of(self._client, order_id)
            for each in await replay(histories, code, self._client.data_converter):
                # The events' numbers differ from run to run.
                why = re.sub(r"^event \d+( or \d+)* is ", "history has ", each.why).replace("today's code", "this code")
                rows.append((each.name.replace(order_id, name), "yes" if each.ok else "no", why))
        return Listing(("workflow", "replays", "why not"), tuple(rows))

    async def close(self) -> None:
        """Stop every worker of the lesson, terminate the orders that are open, and let reconcile settle them."""
        await self.deployment.unset()
        await asyncio.gather(*(worker.stop() for worker in self._workers.values()))
        self._workers.clear()
        query = f"ExecutionStatus = 'Running' AND TaskQueue = '{LESSON_QUEUE}'"
        left = {each.id async for each in self._client.list_workflows(query)}
        left |= {order.workflow_id for order in self._orders.values()}  # Temporal's lists are a second late
        if [each for each in left if await self._terminated(each)]:
            await asyncio.wait_for(reconcile_now(self._client), _SETTLE_SECONDS)

    async def _terminated(self, workflow_id: str) -> bool:
        """False where it has ended."""
        try:
            await self._client.get_workflow_handle(workflow_id).terminate(reason="end of the lesson")
        except RPCError:
            return False
        return True

    async def _find(self, name: str) -> Order:
        return self._orders.get(name) or await self._lab.orders.find(name)

    async def _start(self, name: str) -> OrderId:
        """Start an order called `name`, or `name-2`, `name-3` … where that is taken."""
        order = OrderInput(OrderId(name), review=Review.HUMAN, deadline_seconds=_DEADLINE_SECONDS, faults=FaultPlan())
        number = 1
        while True:
            try:
                await self._client.start_workflow(
                    "DeafOrder",
                    order,
                    id=order_workflow_id(order.order_id),
                    task_queue=LESSON_QUEUE,
                    task_timeout=TASK_TIMEOUT,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                )
            except WorkflowAlreadyStartedError:
                number += 1
                order = replace(order, order_id=OrderId(f"{name}-{number}"))
            else:
                return order.order_id
