"""`orderkit class`: the instructor's board, and what it measured."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from orderkit.cli.output import Json, answer, err, out, table
from orderkit.cli.startup import interrupted_once

app = typer.Typer(
    help="A board for a class: who is where, who is stuck, votes and times; learners join with a word.",
    no_args_is_help=True,
)


@app.command("open")
def open_command(
    host: Annotated[
        str, typer.Option(help="This machine's address on the room's network; empty: its only private one.")
    ] = "",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port for learners; 0: a free one.")] = 8765,
    new: Annotated[
        bool, typer.Option("--new", help="Begin a new class, also within 12 hours of the last one.")
    ] = False,
    browser: Annotated[bool, typer.Option(help="Open the browser.")] = True,
) -> None:
    """Open the board. Learners reach it on the room's network; its page is on loopback only. Ctrl-C ends it."""
    from orderkit.classroom.network import check_host, room_address
    from orderkit.classroom.record import FILE
    from orderkit.classroom.server import BoardServer
    from orderkit.settings import find_home

    async def serve() -> None:
        server = BoardServer(check_host(host) if host else room_address(), port, find_home() / FILE, new=new)
        _say_where(server, browser)
        try:
            await server.serve()
        finally:
            _show(server.board.times())

    with interrupted_once(), suppress(KeyboardInterrupt):
        asyncio.run(serve())


def _say_where(server: Any, browser: bool) -> None:
    from orderkit.stack.jupyter import open_browser

    if server.continues:
        out.print("The class goes on that was open before; --new begins another one.")
    out.print("Learners run this in a notebook:", soft_wrap=True)
    out.print(f'  [bold]await lab.join("{server.invitation}", name="…")[/]', soft_wrap=True)
    out.print(f"The board, on this machine only: [bold]{server.page_url}[/]", soft_wrap=True)
    out.print("Ctrl-C ends it.")
    if browser and not open_browser(server.page_url):
        out.print("There is no display here: open this address in a browser.")


@app.command("times")
def times_command(json: Json = False) -> None:
    """How long each round took in the class that was open last: the median, beside the plan."""
    from orderkit.classroom.record import FILE, read_record
    from orderkit.errors import LabError
    from orderkit.settings import find_home

    record = read_record(find_home() / FILE)
    if record is None:
        raise LabError("no class was open here; open one: orderkit class open")
    found = record.board.times()
    answer(json, found, lambda: _show(found))


def _show(times: list[dict[str, Any]]) -> None:
    if not times:
        err.print("no round was finished")
        return
    rows = [
        (each["lesson"], each["round"], *(f"{each[key]:.1f}" for key in ("planned_minutes", "median_minutes")),
         each["learners"])
        for each in times
    ]  # fmt: skip
    out.print(table(("lesson", "round", "planned, min", "median, min", "learners"), rows))


def bench_command(
    learners: Annotated[int, typer.Option(min=1, max=500, help="How many are simulated.")] = 200,
    seconds: Annotated[float, typer.Option(min=2, max=600, help="For how long.")] = 30,
    every: Annotated[
        float, typer.Option(min=0.5, max=600, help="Seconds between two messages of a learner; a real one: a minute.")
    ] = 5,
    json: Json = False,
) -> None:
    """What a full class costs its board: processor, memory, latency, and how soon all hear a line."""
    import tempfile

    from orderkit.benchmarks.classroom import measure

    folder = tempfile.TemporaryDirectory(prefix="orderkit-class-")
    with interrupted_once(), folder as name, err.status("Measuring …"):
        found = asyncio.run(measure(Path(name), learners, seconds, every))
    rows = [
        ("learners", found.learners),
        ("messages a second", f"{found.messages_a_second:.1f}, {found.failed} failed"),
        ("processor of the board", f"{found.cpu_percent:.1f} % of one"),
        ("its memory", f"{found.memory_mb:.0f} MB"),
        ("a message, alone", f"p50 {found.alone_p50_ms:.1f} ms"),
        ("a message, in the class", f"p50 {found.p50_ms:.1f} ms, p99 {found.p99_ms:.1f} ms"),
        ("a line to all", f"{found.line_heard} heard it, the last after {found.line_seconds * 1000:.0f} ms"),
    ]
    answer(json, asdict(found), lambda: out.print(table(("", ""), rows)))
