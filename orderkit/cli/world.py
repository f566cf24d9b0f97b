"""`orderkit world`: switch the payment provider and the carrier."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from orderkit.cli.output import Json, answer, out, table
from orderkit.core.world import Service, ServiceState


def world_command(
    service: Annotated[Service | None, typer.Argument(help="Whose switch; all are shown by default.")] = None,
    state: Annotated[ServiceState | None, typer.Argument(help="The new state; shown only, by default.")] = None,
    json: Json = False,
) -> None:
    """Show or switch how the payment provider and the carrier answer, to every process from the next request on."""
    switches = asyncio.run(_switch(service, state))
    shown = {each: switches[each] for each in ([service] if service else switches)}
    answer(json, shown, lambda: out.print(table(("service", "state"), list(shown.items()))))


async def _switch(service: Service | None, state: ServiceState | None) -> dict[Service, ServiceState]:
    from orderkit.stack.target import find_target
    from orderkit.store.database import open_pool
    from orderkit.store.world import read_switches, set_switch

    async with open_pool(find_target().database_url, size=1, current=True) as pool:
        if service and state:
            await set_switch(pool, service, state)
        return await read_switches(pool)
