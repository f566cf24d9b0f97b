"""`lab`, `up`, `down`, `status`, `doctor`: the local stack."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orderkit.cli.output import Json, answer, err, out, table
from orderkit.cli.startup import interrupted_once, start, stop, undisturbed
from orderkit.store.urls import address_of

if TYPE_CHECKING:
    from orderkit.stack.stack import Stack

_NO_LAB = "no lab was ever started here; start one: orderkit up"
Workers = Annotated[int, typer.Option("--workers", "-w", min=0, help="How many worker processes.")]


def _places(stack: Stack) -> dict[str, str]:
    return {
        "api": stack.docs_url,
        "temporal_ui": stack.ui_url,
        "temporal": stack.temporal_address,
        "postgres": ":".join(map(str, address_of(stack.database_url))),
        "home": str(stack.home),
    }


def up_command(workers: Workers = 1, json: Json = False) -> None:
    """Start PostgreSQL, Temporal, a worker and the API; whatever runs already is left alone.

    If ORDERKIT_DATABASE_URL names your own servers, only a worker and the API start, and use them.
    """
    stack = start(workers)
    places = _places(stack)
    answer(json, {**places, "notices": list(stack.notices)}, lambda: out.print(table(("", ""), places.items())))


def down_command(json: Json = False) -> None:
    """Stop everything that the lab started; its data stays."""
    ended = stop()
    answer(json, {"ended": ended}, lambda: out.print(f"stopped: {', '.join(ended) or 'nothing was running'}"))


def status_command(json: Json = False) -> None:
    """Show which programs run, since when, where, and with how much memory. Exit status 1 unless all of them run."""
    from orderkit.stack.status import status, status_inside

    rows = [*status(), *status_inside()]
    columns = ("program", "state", "pid", "up s", "MB", "where", "problem")
    lines = [(r.name, r.state, r.pid, _whole(r.uptime_seconds), round(r.memory_mb), r.url, r.problem) for r in rows]
    answer(json, [asdict(row) for row in rows], lambda: out.print(table(columns, lines)) if rows else None)
    if not rows or any(row.state != "running" for row in rows):
        err.print(_what_to_do({row.state for row in rows}) if rows else _NO_LAB)
        raise typer.Exit(1)


def _what_to_do(states: set[str]) -> str:
    """A sentence for a lab that does not run as a whole; the supervisor may be starting what is missing."""
    if states <= {"running", "starting", "backoff"}:
        return "the lab's supervisor is starting what does not run yet; look again in a few seconds"
    return "not everything runs; start what is missing: orderkit up"


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)


def doctor_command(json: Json = False) -> None:
    """Say what is wrong and how to repair it. Exit status 1 if anything is wrong."""
    from orderkit.doctor.doctor import doctor

    with err.status("Looking …"):
        checks = doctor()
    rows = [("ok" if c.ok else "wrong", c.name, c.detail, "" if c.ok else c.remedy) for c in checks]
    answer(json, [asdict(c) for c in checks], lambda: out.print(table(("", "check", "found", "what to do"), rows)))
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


def lab_command(
    workers: Workers = 1,
    browser: Annotated[bool, typer.Option(help="Open the browser.")] = True,
    port: Annotated[int, typer.Option(help="JupyterLab's port; if it is taken, a free one.")] = 8888,
    language: Annotated[str, typer.Option(help="Of the lessons' prose: en, or de (lesson 00, so far).")] = "en",
) -> None:
    """Start everything and open JupyterLab on the first notebook. Ctrl-C stops everything and loses nothing.

    On JupyterHub you are in JupyterLab already: there it copies the notebooks and starts the servers, as `up` does.
    """
    from orderkit.stack.jupyter import FIRST_NOTEBOOK, Jupyter, lay_notebooks, open_browser
    from orderkit.stack.public_address import HUB

    folder, laid = lay_notebooks(Path.cwd(), language)
    if laid:
        err.print(f"Copied {len(laid)} notebooks into {folder}")
    if os.environ.get(HUB):
        up_command(workers)
        out.print(f"\nOpen {folder.name}/{FIRST_NOTEBOOK} in the file browser. The lab runs until: orderkit down")
        return
    with interrupted_once():
        try:
            stack = start(workers)
            with Jupyter(stack, folder, port) as jupyter:
                url = jupyter.url_of(FIRST_NOTEBOOK)
                out.print(table(("", ""), _places(stack).items()))
                out.print(f"\nJupyterLab: [bold]{url}[/]", soft_wrap=True)
                out.print("Ctrl-C stops everything; your work and the orders stay.")
                if browser and not open_browser(url):
                    out.print("There is no display here: open this address in a browser.")
                with suppress(KeyboardInterrupt):  # the usual way to end it, so no failure
                    jupyter.wait()
        finally:
            undisturbed()
            stop()


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("lab")(lab_command)
    app.command("up")(up_command)
    app.command("down")(down_command)
    app.command("status")(status_command)
    app.command("doctor")(doctor_command)
