"""`python -m orderkit.lessons.builds.worker`: the worker process of one build; its id says which code it serves."""

from __future__ import annotations

import asyncio
import signal

from temporalio.worker import Worker

from orderkit.lessons.builds.catalogue import LESSON_QUEUE, code_of
from orderkit.logs import log_json
from orderkit.settings import Settings
from orderkit.stack.builds import end_with_input
from orderkit.stack.target import Target
from orderkit.store.database import open_pool
from orderkit.store.events import PostgresAttemptLog
from orderkit.temporal.client import connect_temporal
from orderkit.worker.activities import OrderActivities, ShippingActivities
from orderkit.worker.attempts import RecordAttempts
from orderkit.worker.builds import BuildAttemptLog
from orderkit.worker.process import business_on, pinned_to


async def serve(target: Target) -> None:
    """Until SIGTERM."""
    settings: Settings = target.settings
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with open_pool(target.database_url, size=4) as pool:
        business = business_on(pool)
        async with Worker(
            await connect_temporal(target.temporal),
            task_queue=LESSON_QUEUE,
            workflows=[code_of(settings.build_id)],
            activities=[*OrderActivities(business).all, *ShippingActivities(business).all],
            interceptors=[RecordAttempts(BuildAttemptLog(PostgresAttemptLog(pool), settings.build_id))],
            deployment_config=pinned_to(settings.build_id, settings.deployment),
        ):
            await stopped.wait()


if __name__ == "__main__":
    end_with_input()
    found = Target.from_environment()
    log_json(found.settings.log_level)
    asyncio.run(serve(found))
