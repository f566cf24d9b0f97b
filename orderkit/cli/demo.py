"""`orderkit demo`: one order, live in the terminal, then its attempts from the events table."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from orderkit.cli.orders import pid_of
from orderkit.cli.output import STYLES, Json, answer, coloured, err, out, table
from orderkit.cli.stage import tell_story
from orderkit.cli.startup import lab_of_its_own, lab_of_the_folder

if TYPE_CHECKING:
    from rich.table import Table

    from orderkit.contract import AttemptList, Event, OrderStatus, StartOrder
    from orderkit.stack.stack import Stack

Faults = Annotated[str, typer.Option(help="A scenario, or a script: charge=error,hang,ok; dispatch=error")]
_LOOK_SECONDS = 0.1


def demo_command(
    faults: Faults = "calm",
    policy: Annotated[str, typer.Option(help="spec or budget")] = "spec",
    seed: Annotated[int, typer.Option(help="The scenario's seed: another seed, other failures.")] = 0,
    order_id: Annotated[str, typer.Option(help="The order's id; a fresh one by default.")] = "",
    keep: Annotated[bool, typer.Option(help="Leave the stack running afterwards.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="In a new lab of its own, gone afterwards.")] = False,
    stage: Annotated[
        bool, typer.Option("--stage", help="A story in five chapters instead, on a page for a beamer.")
    ] = False,
    outage_seconds: Annotated[float, typer.Option(min=0, help="With --stage: how long the provider is down.")] = 20,
    browser: Annotated[bool, typer.Option(help="With --stage: open the browser.")] = True,
    json: Json = False,
) -> None:
    """Run one order with live progress, then show its attempts, their timings and their workers.

    ☠ appears the moment the worker dies that has an attempt in hand. --stage has a lab of its own.
    """
    from orderkit.cli.inputs import start_body

    if stage:
        tell_story(browser, 0, outage_seconds)
        return
    body = start_body(faults=faults, policy=policy, seed=seed)
    order_id = order_id or ("demo" if fresh else f"demo-{secrets.token_hex(3)}")
    lab = lab_of_its_own("demo") if fresh else lab_of_the_folder(keep, quiet=json)
    with lab as stack:
        status, attempts = asyncio.run(_run(stack, order_id, body, quiet=json))
        data = {"status": status.model_dump(mode="json"), **attempts.model_dump(mode="json")}
        answer(json, data, lambda: _report(status, attempts))
    if status.state != "shipped":
        raise typer.Exit(1)


async def _run(stack: Stack, order_id: str, body: StartOrder, quiet: bool) -> tuple[OrderStatus, AttemptList]:
    from rich.live import Live

    from orderkit.client import OrderkitClient

    events: list[Event] = []
    async with OrderkitClient(stack.api_url, stack.settings().api_key) as client:
        await client.start(order_id, body)

        async def read() -> None:
            async for event in client.stream(order_id, within_seconds=body.deadline + 30):
                events.append(event)

        with nullcontext() if quiet else Live(console=err, auto_refresh=False, transient=True) as live:
            reading = asyncio.create_task(read())
            while not reading.done():
                await asyncio.wait((reading,), timeout=_LOOK_SECONDS)
                if live:
                    live.update(progress(order_id, events), refresh=True)
            await reading
        return await client.status(order_id), await client.attempts(order_id)


@dataclass
class _Try:
    """An attempt as the live view knows it."""

    attempt: int
    worker: str
    outcome: str | None = None


def progress(order_id: str, events: Sequence[Event]) -> Table:
    """One line a step: its attempts, each with its worker's pid, as they start, end, or lose their worker."""
    from orderkit.core.events import EventType

    steps: dict[str, list[_Try]] = {}
    states = [event.type for event in events if event.step is None]
    for event in events:
        if event.step is None:
            continue
        tries = steps.setdefault(str(event.step), [])
        if event.type == EventType.STEP_STARTED:
            tries.append(_Try(event.attempt or 0, event.worker or ""))
        for each in tries:
            if event.type == EventType.STEP_ENDED and each.attempt == event.attempt:
                each.outcome = event.outcome
    drawn = table(("step", "attempts, each with its worker's pid"), [], title=f"order {order_id}: {_state(states)}")
    for step, tries in steps.items():
        drawn.add_row(step, "  ".join(_mark(each, each is tries[-1]) for each in tries))
    return drawn


def _state(types: Sequence[str]) -> str:
    return types[-1].replace("_", " ") if types else "starting"


def _mark(each: _Try, is_last: bool) -> str:
    from orderkit.analysis.palette import SIGNS
    from orderkit.stack.processes import worker_died

    state = each.outcome or ("running" if is_last and not worker_died(each.worker) else "lost")
    return f"[{STYLES[state]}]{SIGNS[state]} {pid_of(each.worker)}[/]"


def _report(status: OrderStatus, attempts: AttemptList) -> None:
    from orderkit.analysis.palette import SIGNS

    rows = [
        (a.step, a.attempt, a.outcome, SIGNS[a.outcome], a.duration_seconds, pid_of(a.worker))
        for a in attempts.attempts
    ]
    out.print(table(("step", "attempt", "outcome", "", "seconds", "worker's pid"), rows))
    payment = f"payment {status.payment.status} {status.payment.amount}" if status.payment else "no payment"
    why = f" ({status.stop_reason})" if status.stop_reason else ""
    out.print(f"\norder {status.order_id}: {coloured(status.state)}{why}; {payment}")
