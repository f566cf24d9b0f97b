"""`orderkit db …`: the schema, backups, and points in time."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from orderkit.cli.output import Json, answer, err, out
from orderkit.errors import LabError

app = typer.Typer(help="The schema, backups, and points in time.", no_args_is_help=True)


@app.command("migrate")
def migrate_command(json: Json = False) -> None:
    """Bring the schema up to date."""
    from orderkit.stack.target import find_target
    from orderkit.store.migrations import migrate

    applied = asyncio.run(migrate(find_target().database_url))
    answer(json, {"applied": applied}, lambda: out.print(f"applied: {', '.join(applied) or 'nothing to do'}"))


@app.command("reset")
def reset_command(
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    json: Json = False,
) -> None:
    """Delete every order and event, and create the schema again. Temporal's histories stay."""
    from orderkit.stack.target import find_target
    from orderkit.store.migrations import reset

    url = find_target().database_url
    if not yes:
        typer.confirm("This deletes all orders, payments and events. Go on?", abort=True)
    asyncio.run(reset(url))
    answer(json, {"reset": True}, lambda: out.print("the database is empty and up to date"))


@app.command("backup")
def backup_command(
    file: Annotated[Path, typer.Argument(help="The file to write. It holds addresses, so only you may read it.")],
    json: Json = False,
) -> None:
    """Write orders, payments, events and ledgers into a file, while orders run. Temporal's histories are not in it."""
    from orderkit.stack.backup import back_up
    from orderkit.stack.target import find_target

    with err.status("Backing up …"):
        size = back_up(find_target(), file)
    answer(json, {"file": str(file), "bytes": size}, lambda: out.print(f"{file}: {size / 1e6:.1f} MB", soft_wrap=True))


@app.command("restore")
def restore_command(
    source: Annotated[
        Path, typer.Argument(help="A file of `orderkit db backup`, or a folder of `orderkit db archive`.")
    ],
    replace: Annotated[bool, typer.Option("--replace", help="Delete the orders that are in the database.")] = False,
    until: Annotated[str | None, typer.Option(help="With a folder: the moment, like 2026-11-27T14:03:59.")] = None,
    json: Json = False,
) -> None:
    """Load a backup into this database, or make a new lab from an archive. Then: orderkit reconcile, orderkit audit.

    On another Temporal, an order that was open at that moment has no workflow; reconcile settles it.
    """
    if source.is_dir():
        _restore_archive(source, until, json)
        return
    if until is not None:
        raise typer.BadParameter("a backup file holds one moment; use --until with a folder of `orderkit db archive`")
    from orderkit.stack.backup import restore
    from orderkit.stack.target import find_target

    with err.status("Restoring …"):
        orders = restore(find_target(), source, replace=replace)
    told = f"{orders:,} orders; now: orderkit reconcile, then: orderkit audit"
    answer(json, {"orders": orders}, lambda: out.print(told))


def _restore_archive(folder: Path, until: str | None, json: bool) -> None:
    from orderkit.settings import find_home
    from orderkit.stack.point_in_time import restore_to

    try:
        moment = datetime.fromisoformat(until).astimezone() if until else None
    except ValueError:
        raise typer.BadParameter(f"{until} is not a time; write it like 2026-11-27T14:03:59, or with +01:00") from None
    home = find_home()
    with err.status("Restoring …"):
        restore_to(folder.resolve(), home, moment)
    told = f"the lab in {home} is as it was at {moment or 'the end of the archive'}; start it: orderkit up"
    data = {"home": str(home), "until": moment.isoformat() if moment else None}
    answer(json, data, lambda: out.print(told, soft_wrap=True))


@app.command("archive")
def archive_command(
    folder: Annotated[Path, typer.Argument(help="The folder to write. It holds addresses and passwords.")],
) -> None:
    """Keep every change of the lab's database from now on, until Ctrl-C, for `orderkit db restore --until`."""
    from orderkit.stack.point_in_time import archive
    from orderkit.stack.target import find_target

    stack = find_target().stack
    if stack is None:
        raise LabError("no lab runs in this folder; for a server elsewhere, ask its administrator for an archive")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), archive(stack, folder.resolve()) as stream:
        err.print(f"{folder} has a base backup and gets each change from now on; Ctrl-C ends it", soft_wrap=True)
        stream.wait()
        raise LabError(f"pg_receivewal has ended; its log is {folder / 'log'}")
