"""`orderkit deploy …`: which build of the workers gets new orders."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from orderkit.cli.output import Json, answer, out, table
from orderkit.core.builds import DEPLOYMENT

if TYPE_CHECKING:
    from orderkit.temporal.deployments import Deployment

T = TypeVar("T")
app = typer.Typer(help="Send new orders to a build of the workers, and move running ones.", no_args_is_help=True)
Build = Annotated[str, typer.Argument(help="The build id that its workers were started with.")]
Name = Annotated[str, typer.Option("--deployment", help="The deployment that the builds belong to.")]


def ask(question: Callable[[Deployment], Awaitable[T]], deployment: str) -> T:
    """Ask Temporal of the stack that runs here."""
    from orderkit.stack.target import find_target
    from orderkit.temporal.client import connect_temporal
    from orderkit.temporal.deployments import Deployment

    target = find_target()

    async def run() -> T:
        return await question(Deployment(await connect_temporal(target.temporal), deployment))

    return asyncio.run(run())


@app.command("status")
def status_command(deployment: Name = DEPLOYMENT, json: Json = False) -> None:
    """Show each build: its share of new orders, the workflows that run on it, and its workers."""
    builds = ask(lambda found: found.status(), deployment)
    rows = [
        (
            b.build_id,
            b.state,
            f"{b.share:g} %",
            b.running,
            ", ".join(f"{n} on {queue}" for queue, n in b.workers.items()),
        )
        for b in builds
    ]
    columns = ("build", "state", "new orders", "running workflows", "workers")

    def show() -> None:
        if rows:
            out.print(table(columns, rows))
        else:
            out.print(
                f"deployment {deployment} has no builds; start a worker with a build id: orderkit worker --build-id …"
            )

    answer(json, [asdict(build) for build in builds], show)


@app.command("ramp")
def ramp_command(
    build_id: Build,
    percentage: Annotated[
        float, typer.Argument(min=0, max=100, help="The build's share of new orders; 0 ends the ramp.")
    ],
    deployment: Name = DEPLOYMENT,
    json: Json = False,
) -> None:
    """Send a share of new orders to a build, the others to the current one."""
    ask(lambda found: found.ramp(build_id, percentage), deployment)
    told = f"{percentage:g} % of new orders go to {build_id}" if percentage else "the ramp has ended"
    answer(json, {"build_id": build_id, "percentage": percentage}, lambda: out.print(told))


@app.command("promote")
def promote_command(build_id: Build, deployment: Name = DEPLOYMENT, json: Json = False) -> None:
    """Send all new orders to a build. Running orders stay on their builds."""
    ask(lambda found: found.promote(build_id), deployment)
    answer(json, {"build_id": build_id}, lambda: out.print(f"all new orders go to {build_id}"))


@app.command("rollback")
def rollback_command(deployment: Name = DEPLOYMENT, json: Json = False) -> None:
    """End a ramp. Without a ramp, go back to the build before, or to workers without a build id."""
    build_id = ask(lambda found: found.roll_back(), deployment)
    answer(json, {"build_id": build_id}, lambda: out.print(f"all new orders go to {build_id} again"))


@app.command("move")
def move_command(
    to: Annotated[str, typer.Option(help="The build that the orders move to.")],
    order_ids: Annotated[list[str] | None, typer.Argument(help="Running orders.")] = None,
    source: Annotated[str | None, typer.Option("--from", help="All orders that run on this build.")] = None,
    deployment: Name = DEPLOYMENT,
    json: Json = False,
) -> None:
    """Move running orders, with their shipping, to another build, which must replay them: see orderkit replay."""
    from orderkit.core.orders import order_workflow_id
    from orderkit.errors import InvalidOrder, Problem

    if bool(order_ids) == (source is not None):
        raise InvalidOrder([Problem("order_ids", "name orders, or a build with --from, but not both")])

    async def move(found: Deployment) -> list[str]:
        wanted = [order_workflow_id(order_id) for order_id in order_ids or ()] or await found.on(source or "")
        return [each for workflow_id in wanted for each in await found.move(workflow_id, to)]

    moved = ask(move, deployment)
    answer(json, {"build_id": to, "moved": moved}, lambda: out.print(f"moved to {to}: {', '.join(moved) or 'none'}"))
