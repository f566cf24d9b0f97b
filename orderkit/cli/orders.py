"""`orderkit order …`: one order, through the REST API."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from orderkit.cli.inputs import start_body
from orderkit.cli.output import Json, answer, coloured, err, out, table

if TYPE_CHECKING:
    from rich.table import Table

    from orderkit.client import OrderkitClient
    from orderkit.contract import AttemptList

T = TypeVar("T")
_MOST_LISTED = 500  # the API's limit
app = typer.Typer(help="Start an order, watch it, talk to it.", no_args_is_help=True)
OrderIdArgument = Annotated[str, typer.Argument(help="The order's id.")]
By = Annotated[str, typer.Option(help="Your name; kept with the order.")]
Note = Annotated[str, typer.Option(help="The reason; kept with the order.")]


def ask(question: Callable[[OrderkitClient], Awaitable[T]]) -> T:
    """Ask the API of the stack that runs here."""
    from orderkit.client import OrderkitClient
    from orderkit.stack.target import find_target

    target = find_target()

    async def run() -> T:
        async with OrderkitClient(target.api_url, target.settings.api_key) as client:
            return await question(client)

    return asyncio.run(run())


@app.command("start")
def start_command(
    order_id: OrderIdArgument,
    faults: Annotated[str, typer.Option(help="A scenario, or a script: charge=error,hang,ok")] = "calm",
    seed: Annotated[int, typer.Option(help="The scenario's seed.")] = 0,
    policy: Annotated[str, typer.Option(help="spec or budget")] = "spec",
    review: Annotated[str, typer.Option(help="auto, human or none")] = "auto",
    deadline: Annotated[float, typer.Option(help="Seconds within which the order is decided.")] = 15,
    payment_id: Annotated[str, typer.Option(help="Idempotency key of the payment.")] = "",
    item: Annotated[list[str] | None, typer.Option(help="sku,quantity,price; repeat for more.")] = None,
    address: Annotated[str | None, typer.Option(help="street, city, state, zip")] = None,
    wait: Annotated[bool, typer.Option(help="Wait until the order has ended.")] = False,
    json: Json = False,
) -> None:
    """Start an order. Repeating the same command starts nothing."""
    body = start_body(
        faults=faults, seed=seed, policy=policy, review=review, deadline=deadline,
        payment_id=payment_id, items=item, address=address,
    )  # fmt: skip
    started = ask(lambda client: client.start(order_id, body))
    verb = "started" if started.created else "had been started before"
    if not (wait and json):
        answer(json, started.model_dump(mode="json"), lambda: out.print(f"order {order_id} {verb}, {started.amount}"))
    if wait:
        status = ask(lambda client: client.wait(order_id, body.deadline + 30))
        data = {**started.model_dump(mode="json"), **status.model_dump(mode="json")}
        answer(json, data, lambda: out.print(f"order {order_id}: {coloured(status.state)}"))


@app.command("status")
def status_command(order_id: OrderIdArgument, json: Json = False) -> None:
    """Show where an order stands."""
    status = ask(lambda client: client.status(order_id))
    data = status.model_dump(mode="json")
    rows = [(name, _shown(value)) for name, value in data.items() if value not in (None, [], {})]
    answer(json, data, lambda: out.print(table(("", ""), rows)))


def _shown(value: object) -> object:
    """Nested values, one to a line."""
    if isinstance(value, list):
        return "\n".join(str(_shown(each)) for each in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    return value


@app.command("events")
def events_command(order_id: OrderIdArgument, json: Json = False) -> None:
    """Show what happened to an order, oldest first."""
    page = ask(lambda client: client.events(order_id))
    rows = [(e.ts.strftime("%H:%M:%S.%f")[:-3], e.type, e.step, e.attempt, e.outcome, e.error) for e in page.events]
    columns = ("time (UTC)", "event", "step", "attempt", "outcome", "error")
    answer(json, page.model_dump(mode="json"), lambda: out.print(table(columns, rows)))
    if page.next_after and not json:
        err.print(
            f"the first {len(rows):,} events; the API has the rest: /orders/{order_id}/events?after={page.next_after}"
        )


@app.command("attempts")
def attempts_command(order_id: OrderIdArgument, json: Json = False) -> None:
    """Show each attempt of each step, its outcome and its duration."""
    attempts = ask(lambda client: client.attempts(order_id))
    answer(json, attempts.model_dump(mode="json"), lambda: out.print(attempts_table(attempts)))


def attempts_table(attempts: AttemptList) -> Table:
    """One line an attempt."""
    rows = [
        (a.step, a.attempt, a.outcome, a.duration_seconds, pid_of(a.worker), a.error, a.workflow_id)
        for a in attempts.attempts
    ]
    return table(("step", "attempt", "outcome", "seconds", "worker's pid", "error", "workflow"), rows)


def pid_of(worker: str | None) -> str:
    """The pid in a worker's name, `host:pid`."""
    return (worker or "").rpartition(":")[2]


@app.command("list")
def list_command(
    state: Annotated[str | None, typer.Option(help="Only orders in this state.")] = None,
    prefix: Annotated[str | None, typer.Option(help="Only ids that begin with this.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=_MOST_LISTED, help="How many, at most.")] = 50,
    query: Annotated[str | None, typer.Option(help="Ask Temporal, with its list filter: OrderPolicy = 'spec'")] = None,
    json: Json = False,
) -> None:
    """List orders, newest first."""
    if query is not None:
        if state is not None or prefix is not None:
            raise typer.BadParameter("say it all in --query: OrderState = '…', WorkflowId STARTS_WITH 'order-…'")
        _list_in_temporal(query, limit, json)
        return
    from orderkit.core.choices import check_choice
    from orderkit.core.orders import OrderState

    if state is not None:
        check_choice("state", state, OrderState)
    wanted = OrderState(state) if state else None
    page = ask(lambda client: client.list(wanted, prefix, limit))
    rows = [(o.order_id, o.state, o.policy, o.amount, o.duration_seconds, o.stop_reason) for o in page.orders]
    columns = ("order", "state", "policy", "amount", "seconds", "why stopped")
    answer(json, page.model_dump(mode="json"), lambda: out.print(table(columns, rows)))
    if page.next_cursor and not json:
        more = f"--limit {min(page.total, _MOST_LISTED)}, " if page.total else ""
        err.print(f"the newest {len(rows)} of {page.total:,} orders; more: {more}--prefix or --state")


def _list_in_temporal(query: str, limit: int, json: bool) -> None:
    from orderkit.stack.target import find_target
    from orderkit.temporal.client import connect_temporal
    from orderkit.temporal.search import FoundOrder, count_orders, find_orders

    temporal = find_target().temporal

    async def look() -> tuple[list[FoundOrder], dict[str, int]]:
        client = await connect_temporal(temporal)
        return await find_orders(client, query, limit), await count_orders(client, query)

    orders, counts = asyncio.run(look())
    rows = [(o.order_id, o.state, o.policy, o.status) for o in orders]
    data = {"orders": [asdict(order) for order in orders], "counts": counts}
    answer(json, data, lambda: out.print(table(("order", "state", "policy", "workflow"), rows)))
    if not json:
        err.print(", ".join(f"{number:,} {state}" for state, number in counts.items()) or "no order")


@app.command("cancel")
def cancel_command(order_id: OrderIdArgument, by: By, reason: Note = "", json: Json = False) -> None:
    """Cancel an order, unless the carrier has the package."""
    from orderkit.contract import CancelBody, checked

    told = checked(CancelBody, {"reason": reason, "cancelled_by": by})
    done = ask(lambda client: client.cancel_now(order_id, told.cancelled_by, told.reason))
    answer(json, done.model_dump(mode="json"), lambda: out.print(done.message))


@app.command("address")
def address_command(
    order_id: OrderIdArgument,
    new_address: Annotated[str, typer.Argument(help="street, city, state, zip")],
    by: By,
    json: Json = False,
) -> None:
    """Send the package to another address, unless the carrier has it."""
    from orderkit.contract import UpdateAddressBody, address_fields, checked

    change = checked(UpdateAddressBody, {"new_address": address_fields(new_address), "updated_by": by})
    done = ask(lambda client: client.update_address_now(order_id, change))
    answer(json, done.model_dump(mode="json"), lambda: out.print(done.message))


@app.command("approve")
def approve_command(order_id: OrderIdArgument, by: By, note: Note = "", json: Json = False) -> None:
    """Approve an order in review."""
    _review(order_id, True, by, note, json)


@app.command("reject")
def reject_command(order_id: OrderIdArgument, by: By, note: Note = "", json: Json = False) -> None:
    """Reject an order in review, which cancels it."""
    _review(order_id, False, by, note, json)


def _review(order_id: str, approve: bool, by: str, note: str, json: bool) -> None:
    from orderkit.contract import DecisionBody, checked

    told = checked(DecisionBody, {"reviewer": by, "note": note})
    done = ask(lambda client: client.review_now(order_id, approve, told.reviewer, told.note))
    answer(json, done.model_dump(mode="json"), lambda: out.print(done.message))
