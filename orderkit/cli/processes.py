"""`orderkit worker`, `orderkit api`: the processes themselves, configured by the environment."""

from __future__ import annotations

import asyncio
import os
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from orderkit.core.steps import ORDER_QUEUE, SHIPPING_QUEUE

if TYPE_CHECKING:
    from orderkit.stack.stack import Stack


class Queue(StrEnum):
    """A task queue."""

    ORDER = ORDER_QUEUE
    SHIPPING = SHIPPING_QUEUE


def worker_command(
    queue: Annotated[list[Queue] | None, typer.Option(help="Serve only this task queue; both by default.")] = None,
    build_id: Annotated[
        str | None, typer.Option(help="The worker's build id, for Worker Versioning; ORDERKIT_BUILD_ID by default.")
    ] = None,
    deployment: Annotated[
        str | None, typer.Option(help="The build's deployment; ORDERKIT_DEPLOYMENT by default.")
    ] = None,
    until_input_ends: Annotated[bool, typer.Option(help="Also end when standard input ends.")] = False,
) -> None:
    """Run a worker until SIGTERM. With a build id it gets only orders of that build: see orderkit deploy."""
    from orderkit.logs import log_json
    from orderkit.stack.builds import end_with_input
    from orderkit.stack.target import find_target
    from orderkit.worker.process import run_worker

    told = {"ORDERKIT_BUILD_ID": build_id, "ORDERKIT_DEPLOYMENT": deployment}
    os.environ.update({name: value for name, value in told.items() if value is not None})
    target = find_target()
    settings = target.settings
    if target.stack:
        build = [settings.build_id] if settings.build_id else []
        _become_extra(target.stack, "-".join(["extra", *(each.value for each in queue or ()), *build]))
    log_json(settings.log_level)
    if until_input_ends:
        end_with_input()
    _run(run_worker(settings, target.temporal, [each.value for each in queue or Queue]))


def api_command(
    port: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="Where it listens, in place of ORDERKIT_API_PORT.")
    ] = None,
) -> None:
    """Run the REST API until SIGTERM; a second one beside a lab's own with --port, on the same servers."""
    from orderkit.api.serve import run_api
    from orderkit.stack.target import Target, find_target

    if port is None:
        target = Target.from_environment()
        run_api(target.settings, target.temporal)
    else:
        target = find_target()
        run_api(target.settings.model_copy(update={"api_port": port}), target.temporal)


def _become_extra(stack: Stack, name: str) -> None:
    """Replace this process by an extra worker of the lab, which has a name and ignores the shell's server settings."""
    from orderkit.stack.environment import inherited_environment

    settings = stack.settings()
    build = {"ORDERKIT_BUILD_ID": settings.build_id, "ORDERKIT_DEPLOYMENT": settings.deployment}
    environment = inherited_environment() | stack.environment_of_extra(name) | build
    os.execve(sys.executable, [sys.executable, "-m", "orderkit", *sys.argv[1:]], environment)  # noqa: S606 - this command


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
