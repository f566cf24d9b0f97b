"""The command line. Heavy imports are inside the commands, so that `--help` is quick."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress

import typer

from orderkit import __version__
from orderkit.cli import (
    audit,
    benchmarks,
    chaos,
    check_in,
    classroom,
    codec,
    database,
    demo,
    deploy,
    failures,
    kill,
    lesson,
    load,
    orders,
    policy,
    processes,
    replay,
    stack,
    stage,
    world,
)
from orderkit.cli.output import Json, answer, err
from orderkit.errors import DependencyUnavailable, OrderkitError

_SERVERS = {"asyncpg": "PostgreSQL", "temporalio": "Temporal"}

app = typer.Typer(
    name="orderkit",
    help="Learn Temporal with a real order system. Start with: orderkit demo, or orderkit lab",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo_command)
stack.add_to(app)
app.command("check-in")(check_in.check_in_command)
audit.add_to(app)
failures.add_to(app)
app.command("chaos")(chaos.chaos_command)
app.command("load")(load.load_command)
app.command("replay")(replay.replay_command)
app.command("stage")(stage.stage_command)
app.command("kill")(kill.kill_command)
app.command("world")(world.world_command)
processes.add_to(app)
app.add_typer(classroom.app, name="class")
app.add_typer(orders.app, name="order")
app.add_typer(lesson.app, name="lesson")
app.add_typer(deploy.app, name="deploy")
app.add_typer(policy.app, name="policy")
app.add_typer(database.app, name="db")
app.add_typer(codec.app, name="codec")
app.add_typer(benchmarks.app, name="bench")


@app.command()
def version(json: Json = False) -> None:
    """Show orderkit's version."""
    answer(json, {"version": __version__}, lambda: typer.echo(__version__))


def main() -> None:
    """The program `orderkit`: run one command, then end."""
    try:
        run()
    except SystemExit as end:
        if "temporalio.bridge" in sys.modules:
            _leave(end.code)
        raise


def _leave(status: str | int | None) -> None:
    """End without Python's tear-down, which can crash when a thread of Temporal's SDK still runs (sdk-python #300)."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # whoever read it has gone
            stream.flush()
    os._exit(status if isinstance(status, int) else status is not None)


def run() -> None:
    """Run a command; an error that a person can solve is shown as one line that says what to do."""
    try:
        app()
    except OrderkitError as error:
        _fail(f"{type(error).__name__}: {_with_advice(error)}")
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(130)
    except Exception as error:
        # By name: importing the modules would make `--help` slow.
        server = _SERVERS.get(type(error).__module__.partition(".")[0])
        if server is None:
            raise
        _fail(f"{type(error).__name__}: {server} refused: {error}; try: orderkit doctor")


def _with_advice(error: OrderkitError) -> str:
    """What is wrong and what to do; nobody needs `orderkit up` while the lab's supervisor is already at work."""
    if not isinstance(error, DependencyUnavailable) or "orderkit " in error.reason:
        return str(error)
    from orderkit.stack.status import comes_back

    if comes_back(error.dependency):
        return f"{error.reason}; the lab's supervisor starts it again: try once more in a few seconds"
    return f"{error.reason}; {error.remedy or 'try: orderkit up, or orderkit doctor'}"


def _fail(message: str) -> None:
    err.print("[bold red]error:[/] ", end="")
    err.print(message, markup=False, soft_wrap=True)
    sys.exit(1)
