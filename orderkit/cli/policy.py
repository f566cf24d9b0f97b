"""`orderkit policy …`: what a retry policy can be expected to do, and what it does."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orderkit.cli.output import Json, answer, err, out, table

if TYPE_CHECKING:
    from orderkit.analysis.prediction import Prediction
    from orderkit.core.policies import Policy

app = typer.Typer(help="Predict and measure what a retry policy achieves.", no_args_is_help=True)
Faults = Annotated[str, typer.Option(help="A scenario, or a script: charge=error,hang,ok")]
Names = Annotated[list[str] | None, typer.Option("--policy", help="spec or budget; both by default.")]
Seed = Annotated[int, typer.Option(help="Of the fault plan, and of the simulation.")]
Deadline = Annotated[float, typer.Option(help="Seconds.")]
Overhead = Annotated[float | None, typer.Option(help="From an attempt that completes to the next step, seconds.")]
RetryOverhead = Annotated[float | None, typer.Option(help="Of a failed attempt, beyond limits and waits, seconds.")]


def _policies(names: Sequence[str] | None) -> list[Policy]:
    from orderkit.core.policies import POLICIES
    from orderkit.errors import InvalidOrder, Problem

    for name in names or []:
        if name not in POLICIES:
            raise InvalidOrder([Problem("policy", f"use one of: {', '.join(POLICIES)}")])
    return [POLICIES[name] for name in names or POLICIES]


def _numbers(prediction: Prediction) -> dict[str, Any]:
    return {
        "shipped_within_deadline": prediction.shipped_within_deadline,
        "decided_within_deadline": prediction.decided_within_deadline,
        "mean_seconds": prediction.mean_seconds,
        "quantiles": {str(q): seconds for q, seconds in prediction.quantiles.items()},
        "outcomes": dict(prediction.outcomes),
        "method": prediction.method,
    }


@app.command("predict")
def predict_command(
    faults: Faults = "original",
    policy: Names = None,
    seed: Seed = 0,
    deadline: Deadline = 15,
    overhead: Overhead = None,
    retry_overhead: RetryOverhead = None,
    json: Json = False,
) -> None:
    """Compute how many orders ship, and are decided, within the deadline; exactly, without running one."""
    from orderkit.analysis.assumptions import Assumptions
    from orderkit.analysis.prediction import predict
    from orderkit.core.faults import parse_plan

    plan = parse_plan(faults, seed)
    assumptions = Assumptions(
        deadline_seconds=deadline,
        overhead_seconds=Assumptions.overhead_seconds if overhead is None else overhead,
        retry_overhead_seconds=Assumptions.retry_overhead_seconds if retry_overhead is None else retry_overhead,
    )
    predictions = {each.name: _numbers(predict(plan, each, assumptions)) for each in _policies(policy)}
    columns = ("policy", "shipped in time", "decided in time", "mean s", "p50 s", "p99 s")
    rows = [
        (
            name,
            f"{100 * p['shipped_within_deadline']:.3f} %",
            f"{100 * p['decided_within_deadline']:.3f} %",
            f"{p['mean_seconds']:.2f}",
            f"{p['quantiles']['0.5']:.2f}",
            f"{p['quantiles']['0.99']:.2f}",
        )
        for name, p in predictions.items()
    ]

    def show() -> None:
        out.print(table(columns, rows))
        for name, each in predictions.items():
            out.print(f"{name}: computed by {each['method']}")

    answer(json, predictions, show)


@app.command("measure")
def measure_command(
    faults: Faults = "original",
    policy: Names = None,
    seed: Seed = 0,
    deadline: Deadline = 15,
    orders: Annotated[int, typer.Option(min=1, help="How many orders of each policy.")] = 1000,
    at_once: Annotated[int, typer.Option(min=1, help="How many run at a time.")] = 12,
    json: Json = False,
) -> None:
    """Run that many orders for real beside the prediction, then audit them. Exit status 1 on a finding but lateness."""
    from rich.progress import Progress

    from orderkit.analysis.assumptions import Gap, measured_overheads
    from orderkit.audit.audit import audit
    from orderkit.cli.stack import start
    from orderkit.connect import connect_temporal
    from orderkit.core.faults import parse_plan
    from orderkit.core.orders import OrderId, OrderInput, check_order
    from orderkit.lab.load import run_orders
    from orderkit.store.database import open_pool, queries

    policies, plan = _policies(policy), parse_plan(faults, seed)
    stack = start()
    os.environ.update(stack.environment())
    run = os.urandom(2).hex()

    async def measure(each: Policy, bar: Progress) -> tuple[list[dict[str, Any]], Counter[str], tuple[float, float]]:
        wanted = [
            OrderInput(OrderId(f"{each.name}-{run}-{n:05}"), policy=each, faults=plan, deadline_seconds=deadline)
            for n in range(orders)
        ]
        check_order(wanted[0])
        task = bar.add_task(each.name, total=orders)
        client = await connect_temporal()
        ids = await run_orders(client, wanted, at_once, lambda done: bar.update(task, completed=done))
        async with open_pool(stack.database_url) as pool:
            rows = [dict(row) async for row in queries.orders_named(pool, order_ids=ids)]
            gaps = [Gap(**row) async for row in queries.attempt_gaps(pool, order_ids=ids)]
            findings = (await audit(pool, client, ids)).findings
        for finding in findings:
            err.print(f"{finding.order_id}: {finding.kind}: {finding.evidence}")
        return rows, Counter(finding.kind for finding in findings), measured_overheads(gaps, each)

    results = {}
    with Progress(console=err) as bar:
        for each in policies:
            rows, findings, overheads = asyncio.run(measure(each, bar))
            results[each.name] = _compare(each, plan, deadline, rows, findings, overheads)
    columns = ("policy", "", "predicted", "measured (95 % interval)", "orders")
    lines = [
        (name, what, f"{100 * r[what]['predicted']:.3f} %", r[what]["text"], r["orders"])
        for name, r in results.items()
        for what in ("shipped in time", "decided in time")
    ]

    def show() -> None:
        out.print(table(columns, lines))
        for name, r in results.items():
            mean = f"mean {r['mean_seconds']:.2f} s, {r['predicted_mean_seconds']:.2f} predicted"
            times = f"{mean}; slowest {r['slowest_seconds']:.1f} s"
            found = ", ".join(f"{count} {kind}" for kind, count in r["findings"].items()) or "none"
            costs = f"{r['overhead_seconds'] * 1000:.0f} ms a step, {r['retry_overhead_seconds'] * 1000:.0f} ms a retry"
            out.print(f"{name}: {times}; {costs}; findings: {found}")

    answer(json, results, show)
    # An order that is late is what the shares count; anything else is wrong.
    if any(set(r["findings"]) - {"past_deadline"} for r in results.values()):
        raise typer.Exit(1)


def _compare(
    policy: Policy,
    plan: Any,
    deadline: float,
    rows: list[dict[str, Any]],
    findings: Counter[str],
    overheads: tuple[float, float],
) -> dict[str, Any]:
    """The shares, each beside its prediction at the overheads that were measured."""
    from orderkit.analysis.assumptions import Assumptions
    from orderkit.analysis.comparison import interval
    from orderkit.analysis.prediction import predict

    overhead, again = overheads
    assumptions = Assumptions(deadline_seconds=deadline, overhead_seconds=overhead, retry_overhead_seconds=again)
    prediction = asdict(predict(plan, policy, assumptions))
    in_time = [row for row in rows if row["seconds"] is not None and row["seconds"] <= deadline]
    hits = {"shipped": sum(row["state"] == "shipped" for row in in_time), "decided": len(in_time)}
    result: dict[str, Any] = {
        "orders": len(rows),
        "findings": dict(findings),
        "overhead_seconds": overhead,
        "retry_overhead_seconds": again,
        "predicted_mean_seconds": prediction["mean_seconds"],
        "mean_seconds": sum(row["seconds"] or 0 for row in rows) / len(rows),
        "slowest_seconds": max(row["seconds"] or 0 for row in rows),
    }
    for what, count in hits.items():
        low, high = interval(count, len(rows))
        result[f"{what} in time"] = {
            "predicted": prediction[f"{what}_within_deadline"],
            "measured": count / len(rows),
            "low": low,
            "high": high,
            "text": f"{100 * count / len(rows):.2f} % ({100 * low:.2f} to {100 * high:.2f})",
        }
    return result
