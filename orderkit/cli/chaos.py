"""`orderkit chaos`: kill and pause everything in the middle of orders, then audit."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from orderkit.cli.output import Json, answer, err, out, table
from orderkit.cli.startup import lab_of_its_own

if TYPE_CHECKING:
    from orderkit.chaos.run import ChaosReport


def chaos_command(
    seed: Annotated[int, typer.Option(help="The same seed gives the same plan.")] = 1,
    seeds: Annotated[int, typer.Option(min=1, help="Run this many seeds, one after the other.")] = 1,
    orders: Annotated[int, typer.Option(min=1, help="How many orders to run.")] = 40,
    kills: Annotated[int, typer.Option(min=0, help="How many times a program is killed.")] = 8,
    pauses: Annotated[int, typer.Option(min=0, help="How often a program is paused.")] = 2,
    seconds: Annotated[float, typer.Option(min=1, help="How long programs are killed and paused.")] = 20,
    by_hand: Annotated[
        float, typer.Option(min=0, max=1, help="Share of orders to which a person does something in Temporal.")
    ] = 0.4,
    scenario: Annotated[str, typer.Option(help="The orders' fault scenario.")] = "storm",
    within: Annotated[float, typer.Option(help="Wait at most this many seconds for the orders to end.")] = 180,
    json: Json = False,
) -> None:
    """Kill and pause worker, PostgreSQL, Temporal and API while orders run; audit. Exit status 1 on a finding.

    It starts a new lab for this, so that your lab is not touched and the same seed gives the same orders.
    """
    from orderkit.chaos.plan import make_plan
    from orderkit.chaos.run import run_chaos
    from orderkit.core.faults import parse_plan

    model = parse_plan(scenario).scenario
    reports: list[ChaosReport] = []
    with lab_of_its_own("chaos", lambda: len(reports) == seeds and all(report.passed for report in reports)) as stack:
        err.print(f"Temporal's UI: {stack.ui_url}")
        for each in range(seed, seed + seeds):
            plan = make_plan(each, orders, kills, pauses, seconds, model, by_hand)
            title = f"seed {each}: {orders} orders, {kills} kills, {pauses} pauses …"
            with err.status(title) as status:
                report = asyncio.run(run_chaos(stack, plan, within, status.update))
            reports.append(report)
            if not json:
                _show(report)
    answer(json, [asdict(report) | {"passed": report.passed} for report in reports], lambda: None)
    if not all(report.passed for report in reports):
        raise typer.Exit(1)


def _show(report: ChaosReport) -> None:
    ends = ", ".join(f"{count} {state}" for state, count in report.ends.items())
    out.print(
        f"seed {report.seed}: {len(report.blows)} blows, {ends}; slowest {report.slowest_seconds} s; "
        f"{len(report.removed)} removed by hand, {len(report.lost)} lost, {len(report.left_open)} open, "
        f"{len(report.left_running)} left running, "
        f"{len(report.findings)} findings"
    )
    if report.findings:
        out.print(table(("order", "finding", "evidence"), [(f.order_id, f.kind, f.evidence) for f in report.findings]))
