"""`orderkit kill`: SIGKILL to one of the lab's own programs, to see that nothing is lost."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from orderkit.cli.output import Json, answer, out


class Victim(StrEnum):
    """A program of the lab."""

    WORKER = "worker"
    API = "api"
    TEMPORAL = "temporal"
    POSTGRES = "postgres"


def kill_command(
    program: Annotated[Victim, typer.Argument(help="What to kill; worker: each worker that the lab runs.")],
    json: Json = False,
) -> None:
    """Kill a program of the lab with SIGKILL. The lab's supervisor starts it again; a server elsewhere is spared."""
    from orderkit.stack.target import running_stack

    killed = running_stack().kill_own(program)
    lines = [
        f"killed {name} (pid {pid}) with SIGKILL; the lab's supervisor starts it again" for name, pid in killed.items()
    ]
    answer(json, {"killed": killed}, lambda: out.print("\n".join(lines)))
