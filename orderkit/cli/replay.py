"""`orderkit replay`: whether the code that is installed here replays histories."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orderkit.cli.output import Json, answer, err, out
from orderkit.errors import InvalidOrder, LabError, Problem, SettingsError

if TYPE_CHECKING:
    from temporalio.client import WorkflowHistory

    from orderkit.worker.replay import Replayed

_FILE = ".json"


def replay_command(
    what: Annotated[
        list[str] | None, typer.Argument(help="Orders by id, histories as files ending in .json, or folders of them.")
    ] = None,
    running: Annotated[bool, typer.Option("--running", help="All orders that run now.")] = False,
    save: Annotated[
        Path | None, typer.Option(help="Also write the orders' histories into this folder, as JSON.")
    ] = None,
    json: Json = False,
) -> None:
    """Say whether today's code replays histories. Exit status 1 if it decides differently or fails.

    A saved history holds the workflow's inputs, addresses included, unless the payload codec encrypts them.
    """
    logging.getLogger("temporalio").addHandler(logging.NullHandler())  # a failure is reported below, in one sentence
    if not what and not running:
        raise InvalidOrder([Problem("what", "name orders or files, or add --running")])
    files = [path for word in what or () if _is_file(word) for path in _files(Path(word))]
    orders = [word for word in what or () if not _is_file(word)]
    with err.status("Replaying …"):
        replayed = asyncio.run(_replay(files, orders, running, save))

    def show() -> None:
        for each in replayed:
            out.print("[green]✔[/]" if each.ok else "[red]✖[/]", end=" ")
            out.print(str(each), markup=False, soft_wrap=True)
        failed = sum(not each.ok for each in replayed)
        out.print(f"today's code replays {len(replayed) - failed} of {len(replayed)}")

    answer(json, [asdict(each) for each in replayed], show)
    if not all(each.ok for each in replayed):
        raise typer.Exit(1)


async def _replay(files: list[Path], orders: list[str], running: bool, save: Path | None) -> list[Replayed]:
    from orderkit.core.orders import OrderId
    from orderkit.temporal.client import connect_temporal, data_converter
    from orderkit.worker.replay import histories_of, read_history, replay, running_histories

    keys: tuple[bytes, ...] = ()
    live: list[WorkflowHistory] = []
    if orders or running:
        from orderkit.stack.target import find_target

        target = find_target()
        keys = target.temporal.codec_keys
        client = await connect_temporal(target.temporal)
        live = [history for order in orders for history in await histories_of(client, OrderId(order))]
        if running:
            live += [history async for history in running_histories(client)]
    else:
        keys = _keys()
    if save:
        _save(live, save)
    return await replay([*map(read_history, files), *live], converter=data_converter(keys))


def _keys() -> tuple[bytes, ...]:
    """The codec keys of this folder's lab, if it runs; to read files, no lab is needed."""
    from orderkit.stack.target import find_target

    try:
        return find_target().temporal.codec_keys
    except LabError:
        return ()


def _is_file(word: str) -> bool:
    return word.endswith(_FILE) or "/" in word or Path(word).is_dir()


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(path.glob(f"*{_FILE}"))
    if not found:
        raise SettingsError(f"{path} has no histories (*{_FILE})")
    return found


def _save(histories: list[WorkflowHistory], folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for history in histories:
            (folder / f"{history.workflow_id.replace(':', '.')}{_FILE}").write_text(history.to_json())
    except OSError as error:
        raise SettingsError(f"histories cannot be written into {folder}: {error.strerror}") from None
