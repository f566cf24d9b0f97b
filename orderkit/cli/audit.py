"""`audit` checks that the money is right, `reconcile` makes it right."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from orderkit.cli.inputs import timespan
from orderkit.cli.output import Json, answer, err, out, table
from orderkit.errors import OrderNotFound


def audit_command(
    order_ids: Annotated[list[str] | None, typer.Argument(help="Only these orders; all by default.")] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Only orders of this last period: 30s, 10m, 2h or 1d (seconds, minutes, hours, days)."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Compare Temporal's history, the database and the outside ledgers. Exit status 1 if they disagree."""
    from orderkit.audit.audit import AuditReport, audit
    from orderkit.stack.target import find_target
    from orderkit.store.database import open_pool
    from orderkit.temporal.client import connect_temporal

    begin = datetime.now(UTC) - timespan(since) if since else None
    target = find_target()

    async def run() -> AuditReport:
        with err.status("Auditing …") as status:
            async with open_pool(target.database_url) as pool:
                client = await connect_temporal(target.temporal)
                return await audit(
                    pool, client, order_ids or None, lambda done: status.update(f"{done} orders …"), begin
                )

    report = asyncio.run(run())
    if order_ids and not since and report.orders < (named := len(set(order_ids))):
        raise OrderNotFound(f"the database knows {report.orders} of these {named} orders; see: orderkit order list")
    rows = [(f.order_id, f.kind, f.evidence) for f in report.findings]

    def show() -> None:
        if rows:
            out.print(table(("order", "finding", "evidence"), rows))
        out.print(f"{report.orders} orders, {len(rows)} findings")
        if report.without_history:
            out.print(f"{report.without_history} have no history in Temporal: only tables and ledgers were compared")

    answer(json, asdict(report), show)
    if report.findings:
        raise typer.Exit(1)


def reconcile_command(
    order_id: Annotated[str | None, typer.Argument(help="With --terminate: the order whose workflow fails.")] = None,
    terminate: Annotated[
        bool, typer.Option("--terminate", help="Terminate the order's failing workflow, then settle the order.")
    ] = False,
    json: Json = False,
) -> None:
    """Settle orders whose workflow was terminated or is gone. Needs a worker."""
    from orderkit.core.calls import ReconcileResult
    from orderkit.core.orders import OrderId
    from orderkit.errors import InvalidOrder, Problem
    from orderkit.stack.target import find_target
    from orderkit.temporal.client import connect_temporal
    from orderkit.worker.reconcile import reconcile_now, settle_failing

    if bool(order_id) != terminate:
        raise InvalidOrder([Problem("order_id", "give an order and --terminate together, or neither of them")])
    target = find_target()

    async def run() -> ReconcileResult:
        client = await connect_temporal(target.temporal)
        return await (settle_failing(client, OrderId(order_id)) if order_id else reconcile_now(client))

    with err.status("Reconciling …"):
        result = asyncio.run(run())

    def show() -> None:
        out.print(table(("order", "settled as"), result.settled.items()) if result.settled else "nothing to settle")

    answer(json, asdict(result), show)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("audit")(audit_command)
    app.command("reconcile")(reconcile_command)
