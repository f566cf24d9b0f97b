"""`orderkit policy …`: what a retry policy can be expected to do, and what it does."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orderkit.cli.output import Json, answer, err, out, table
from orderkit.cli.startup import start

if TYPE_CHECKING:
    from orderkit.analysis.prediction import Prediction
    from orderkit.core.policies import Policy

app = typer.Typer(help="Predict and measure what a retry policy achieves.", no_args_is_help=True)
Faults = Annotated[str, typer.Option(help="A scenario, or a script: charge=error,hang,ok")]
Names = Annotated[list[str] | None, typer.Option("--policy", help="spec or budget; both by default.")]
Seed = Annotated[int, typer.Option(help="The seed of the fault plan and of the simulation.")]
Deadline = Annotated[float, typer.Option(help="The orders' deadline, in seconds.")]
Overhead = Annotated[
    float | None, typer.Option(help="Seconds from the end of a completed attempt to the start of the next step.")
]
RetryOverhead = Annotated[
    float | None, typer.Option(help="Seconds that a failed attempt costs besides time limits and waits.")
]


def _policies(names: Sequence[str] | None) -> list[Policy]:
    from orderkit.core.choices import check_choice
    from orderkit.core.policies import POLICIES

    for name in names or []:
        check_choice("policy", name, POLICIES)
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
    """Compute, without running an order, how many orders ship and how many are decided within the deadline."""
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
    """Run orders, compare them with the prediction, and audit them. Exit status 1 on any finding except lateness."""
    from rich.progress import Progress

    from orderkit.benchmarks.policies import PolicyMeasurement, Share, measure_policy, orders_like
    from orderkit.core.faults import parse_plan
    from orderkit.store.database import open_pool
    from orderkit.temporal.client import connect_temporal

    policies, plan = _policies(policy), parse_plan(faults, seed)
    stack = start()
    run = os.urandom(2).hex()

    async def measure(each: Policy, bar: Progress) -> PolicyMeasurement:
        wanted = orders_like(f"{each.name}-{run}", orders, each, plan, deadline)
        task = bar.add_task(each.name, total=orders)
        client = await connect_temporal(stack.temporal_settings())
        async with open_pool(stack.database_url) as pool:
            return await measure_policy(pool, client, wanted, at_once, lambda done: bar.update(task, completed=done))

    results: dict[str, PolicyMeasurement] = {}
    with Progress(console=err) as bar:
        for each in policies:
            results[each.name] = asyncio.run(measure(each, bar))
    for result in results.values():
        for finding in result.findings:
            err.print(f"{finding.order_id}: {finding.kind}: {finding.evidence}")

    def row(name: str, what: str, share: Share, count: int) -> tuple[object, ...]:
        told = f"{100 * share.measured:.2f} % ({100 * share.low:.2f} to {100 * share.high:.2f})"
        return name, what, f"{100 * share.predicted:.3f} %", told, count

    def show() -> None:
        columns = ("policy", "", "predicted", "measured (95 % interval)", "orders")
        lines = []
        for name, r in results.items():
            lines.append(row(name, "shipped in time", r.shipped_in_time, r.orders))
            lines.append(row(name, "decided in time", r.decided_in_time, r.orders))
        out.print(table(columns, lines))
        for name, r in results.items():
            mean = f"mean {r.mean_seconds:.2f} s, {r.predicted_mean_seconds:.2f} predicted"
            times = f"{mean}; slowest {r.slowest_seconds:.1f} s"
            found = ", ".join(f"{count} {kind}" for kind, count in r.finding_counts.items()) or "none"
            costs = f"{r.overhead_seconds * 1000:.0f} ms a step, {r.retry_overhead_seconds * 1000:.0f} ms a retry"
            out.print(f"{name}: {times}; {costs}; findings: {found}")

    answer(json, {name: asdict(r) | {"findings": dict(r.finding_counts)} for name, r in results.items()}, show)
    # An order that is late is what the shares count; anything else is wrong.
    if any(set(r.finding_counts) - {"past_deadline"} for r in results.values()):
        raise typer.Exit(1)
