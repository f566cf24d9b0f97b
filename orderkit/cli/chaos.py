"""`orderkit chaos`: kill and pause everything in the middle of orders, then audit."""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict
from typing import Annotated

import typer

from orderkit.cli.output import Json, answer, err, out, table


def chaos_command(
    seed: Annotated[int, typer.Option(help="The same seed gives the same plan.")] = 1,
    seeds: Annotated[int, typer.Option(min=1, help="Run this many seeds, one after the other.")] = 1,
    orders: Annotated[int, typer.Option(min=1)] = 40,
    kills: Annotated[int, typer.Option(min=0)] = 8,
    pauses: Annotated[int, typer.Option(min=0)] = 2,
    seconds: Annotated[float, typer.Option(min=1, help="How long the blows last.")] = 20,
    scenario: Annotated[str, typer.Option(help="The orders' fault scenario.")] = "storm",
    within: Annotated[float, typer.Option(help="Wait at most this many seconds for the orders to end.")] = 180,
    json: Json = False,
) -> None:
    """Kill and pause worker, PostgreSQL, Temporal and API while orders run; audit. Exit status 1 on a finding."""
    from orderkit.chaos.plan import make_plan
    from orderkit.chaos.run import ChaosReport, run_chaos
    from orderkit.cli.stack import start
    from orderkit.core.faults import parse_plan

    stack = start()
    os.environ.update(stack.environment())
    model = parse_plan(scenario).scenario
    run = os.urandom(2).hex()
    reports: list[ChaosReport] = []
    for each in range(seed, seed + seeds):
        plan = make_plan(each, orders, kills, pauses, seconds, model, prefix=f"chaos-{each}-{run}")
        title = f"seed {each}: {orders} orders, {kills} kills, {pauses} pauses …"
        with err.status(title) as status:
            report = asyncio.run(run_chaos(stack, plan, within, status.update))
        reports.append(report)
        if not json:
            _show(report)
    answer(json, [asdict(report) | {"passed": report.passed} for report in reports], lambda: None)
    if not all(report.passed for report in reports):
        raise typer.Exit(1)


def _show(report: object) -> None:
    from orderkit.chaos.run import ChaosReport

    assert isinstance(report, ChaosReport)
    ends = ", ".join(f"{count} {state}" for state, count in report.ends.items())
    out.print(
        f"seed {report.seed}: {len(report.blows)} blows, {ends}; slowest {report.slowest_seconds} s; "
        f"{len(report.lost)} lost, {len(report.left_open)} open, {len(report.findings)} findings"
    )
    if report.findings:
        out.print(table(("order", "finding", "evidence"), [(f.order_id, f.kind, f.evidence) for f in report.findings]))
