"""Bring a lab that runs to the state in which lessons expect it, whatever a learner has left half-way."""

from __future__ import annotations

from temporalio.service import RPCError, RPCStatusCode

from orderkit.core.builds import UNVERSIONED
from orderkit.core.world import TITLES, ServiceState
from orderkit.lab.lab import Lab
from orderkit.store.world import read_switches, set_switch
from orderkit.temporal.deployments import Deployment
from orderkit.workflows.reconcile import WORKFLOW_ID as SCHEDULE_ID


async def settle(lab: Lab) -> list[str]:
    """One worker, a world that answers, reconcile's schedule, no build of an experiment; returns what was otherwise.

    What does not run, what is paused, and workers that nobody needs any more are `up`'s part. On servers elsewhere only
    the workers are this lab's to settle.
    """
    settled = await _workers(lab)
    if lab.target.stack and lab.target.stack.elsewhere:
        return settled
    return [*settled, *await _world(lab), *await _schedule(lab), *await _builds(lab)]


async def _workers(lab: Lab) -> list[str]:
    if (count := lab.workers.count) == 1:
        return []
    await lab.workers.start(1)
    return [f"1 worker runs in place of {count}"]


async def _world(lab: Lab) -> list[str]:
    pool = await lab.open_pool()
    switched = {service: state for service, state in (await read_switches(pool)).items() if state != ServiceState.UP}
    for service in switched:
        await set_switch(pool, service, ServiceState.UP)
    return [f"{TITLES[service]} was {state}, and is up" for service, state in switched.items()]


async def _schedule(lab: Lab) -> list[str]:
    schedule = (await lab.connect_temporal()).get_schedule_handle(SCHEDULE_ID)
    try:
        if not (await schedule.describe()).schedule.state.paused:
            return []
        await schedule.unpause(note="a lesson begins")
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:  # not made yet: the first worker makes it
            return []
        raise
    return ["the reconcile schedule was paused, and runs"]


async def _builds(lab: Lab) -> list[str]:
    """New orders go to the lab's worker, which has no build id."""
    deployment = Deployment(await lab.connect_temporal())
    chosen = [each.build_id for each in await deployment.status() if each.share and each.build_id != UNVERSIONED]
    if not chosen:
        return []
    await deployment.unset()
    return [f"new orders went to build {', '.join(chosen)}, and go to the lab's worker"]
