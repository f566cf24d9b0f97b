"""`orderkit worker`, `orderkit api`: the processes themselves, configured by the environment."""

from __future__ import annotations

import asyncio
import sys
from enum import StrEnum
from typing import Annotated

import typer

from orderkit.core.steps import ORDER_QUEUE, SHIPPING_QUEUE


class Queue(StrEnum):
    """A task queue."""

    ORDER = ORDER_QUEUE
    SHIPPING = SHIPPING_QUEUE


def worker_command(
    queue: Annotated[list[Queue] | None, typer.Option(help="Serve only this task queue; both by default.")] = None,
) -> None:
    """Run a worker until SIGTERM."""
    from orderkit.logs import log_json
    from orderkit.settings import Settings
    from orderkit.worker import run_worker

    settings = Settings()
    log_json(settings.log_level)
    _run(run_worker(settings, [each.value for each in queue or Queue]))


def api_command() -> None:
    """Run the REST API until SIGTERM."""
    from orderkit.api.serve import run_api
    from orderkit.settings import Settings

    run_api(Settings())


def _run(main: object) -> None:
    """On uvloop where there is one."""
    assert asyncio.iscoroutine(main)
    if sys.platform == "win32":
        asyncio.run(main)
    else:
        import uvloop

        uvloop.run(main)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("worker")(worker_command)
    app.command("api")(api_command)
