"""`orderkit demo`: one order, live in the terminal, then what the events table says of it."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Annotated

import typer

from orderkit.cli.orders import attempts_table
from orderkit.cli.output import Json, answer, coloured, err, out, table
from orderkit.cli.startup import interrupted_once, start, stop

if TYPE_CHECKING:
    from rich.table import Table

    from orderkit.contract import AttemptList, Event, OrderStatus, StartOrder
    from orderkit.stack.stack import Stack

Faults = Annotated[str, typer.Option(help="A scenario, or a script: charge=error,hang,ok; dispatch=error")]


def demo_command(
    faults: Faults = "calm",
    policy: Annotated[str, typer.Option(help="spec or budget")] = "spec",
    seed: Annotated[int, typer.Option(help="For scenarios: another seed, other failures.")] = 0,
    order_id: Annotated[str, typer.Option(help="The order's id; a fresh one by default.")] = "",
    keep: Annotated[bool, typer.Option(help="Leave the stack running afterwards.")] = False,
    json: Json = False,
) -> None:
    """Run one order with live progress, then show its attempts and their timings."""
    from orderkit.cli.inputs import start_body
    from orderkit.stack.stack import find_stack
    from orderkit.stack.target import find_place

    body = start_body(faults=faults, policy=policy, seed=seed)
    before = find_stack(find_place().home)
    was_up = before is not None and before.alive()
    order_id = order_id or f"demo-{secrets.token_hex(3)}"
    with interrupted_once():
        try:
            stack = start()
            status, attempts = asyncio.run(_run(stack, order_id, body, quiet=json))
            data = {"status": status.model_dump(mode="json"), **attempts.model_dump(mode="json")}
            answer(json, data, lambda: _report(status, attempts))
        finally:
            if not (was_up or keep):
                stop()
    if not json and not (was_up or keep):
        out.print("\nThe stack was started for this demo and is stopped again; `orderkit up` keeps it.")
    if status.state != "shipped":
        raise typer.Exit(1)


async def _run(stack: Stack, order_id: str, body: StartOrder, quiet: bool) -> tuple[OrderStatus, AttemptList]:
    from rich.live import Live

    from orderkit.client import OrderkitClient

    async with OrderkitClient(stack.api_url, stack.settings().api_key) as client:
        await client.start(order_id, body)
        events: list[Event] = []
        with Live(console=err, refresh_per_second=12, transient=True) as live:
            async for event in client.stream(order_id, within_seconds=body.deadline + 30):
                events.append(event)
                if not quiet:
                    live.update(_progress(order_id, events))
        return await client.status(order_id), await client.attempts(order_id)


def _progress(order_id: str, events: list[Event]) -> Table:
    """One line a step: its attempts as they start and end."""
    from orderkit.core.events import EventType

    steps: dict[str, list[str]] = {}
    states = [event.type for event in events if event.step is None]
    for event in events:
        if event.step is None:
            continue
        marks = steps.setdefault(str(event.step), [])
        if event.type == EventType.STEP_STARTED:
            marks.append("…")
        elif marks:
            marks[-1] = coloured(event.outcome)
    title = f"order {order_id}: {states[-1] if states else 'starting'}"
    drawn = table(("step", "attempts"), [], title=title)
    for step, marks in steps.items():
        drawn.add_row(step, "  ".join(marks))
    return drawn


def _report(status: OrderStatus, attempts: AttemptList) -> None:
    out.print(attempts_table(attempts))
    payment = f"payment {status.payment.status} {status.payment.amount}" if status.payment else "no payment"
    why = f" ({status.stop_reason})" if status.stop_reason else ""
    out.print(f"\norder {status.order_id}: {coloured(status.state)}{why}; {payment}")
