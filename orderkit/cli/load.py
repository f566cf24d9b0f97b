"""`orderkit load`: many orders through the REST API, with a progress bar, percentiles and an audit."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from orderkit.cli.inputs import start_body
from orderkit.cli.output import Json, answer, err, out, table

if TYPE_CHECKING:
    from orderkit.contract import StartOrder
    from orderkit.load.report import LoadReport
    from orderkit.load.run import Progress

_INTERRUPTED = 130


def load_command(
    orders: Annotated[int, typer.Option(min=1, max=100_000, help="How many orders.")] = 100,
    concurrency: Annotated[int, typer.Option(min=1, max=10_000, help="How many are open at once.")] = 20,
    policy: Annotated[str, typer.Option(help="spec or budget")] = "budget",
    faults: Annotated[str, typer.Option(help="A scenario, or a script: charge=error,hang,ok")] = "calm",
    seed: Annotated[int, typer.Option(help="The scenario's seed.")] = 0,
    deadline: Annotated[float, typer.Option(help="Of each order, in seconds.")] = 60,
    within: Annotated[float, typer.Option(min=1, max=86_400, help="Seconds after which no more orders start.")] = 600,
    prefix: Annotated[str, typer.Option(help="What the orders' ids start with; drawn by default.")] = "",
    json: Json = False,
) -> None:
    """Run many orders, so many at once; then audit them. Exit status 1 on a finding, or if one has not ended.

    Ctrl-C starts no more orders, waits for those that are open, audits all that were started, and says what was done.
    Ctrl-C once more ends at once.
    """
    body = start_body(faults=faults, seed=seed, policy=policy, review="none", deadline=deadline)
    prefix = prefix or f"load-{uuid.uuid4().hex[:6]}"
    with _bar(orders) as tell:
        report = asyncio.run(_run(body, prefix, orders, concurrency, within, tell))
    data = asdict(report) | {"prefix": prefix, "per_second": round(report.per_second, 2), "passed": report.passed}
    answer(json, data, lambda: _show(report, prefix))
    if report.interrupted and not report.findings:
        raise typer.Exit(_INTERRUPTED)
    if not report.passed:
        raise typer.Exit(1)


async def _run(
    body: StartOrder, prefix: str, orders: int, at_once: int, within_seconds: float, tell: Callable[[Progress], None]
) -> LoadReport:
    from orderkit.client import OrderkitClient
    from orderkit.load.run import Load
    from orderkit.stack.target import find_target
    from orderkit.store.database import open_pool
    from orderkit.temporal.client import connect_temporal

    target = find_target()
    width = len(str(orders))
    temporal = await connect_temporal(target.temporal)
    async with (
        OrderkitClient(target.api_url, target.settings.api_key) as api,
        open_pool(target.database_url, 4) as pool,
    ):

        def name(number: int) -> str:
            return f"{prefix}-{number:0{width}}"

        async def start(number: int) -> str:
            return (await api.start(name(number), body)).order_id

        load = Load(start, pool, orders, at_once, body.deadline, within_seconds, tell, name)
        return await load.run(temporal)


@contextmanager
def _bar(orders: int) -> Iterator[Callable[[Progress], None]]:
    """A progress bar on the terminal; where nobody watches, nothing."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("orders that have ended", total=orders)

        def tell(progress: Progress) -> None:
            open_now = progress.started - progress.ended
            if progress.audited is not None:
                bar.update(task, description="audited", completed=progress.audited, total=progress.started)
            elif progress.interrupted:
                told = f"interrupted: waiting for {open_now} open orders (Ctrl-C again ends at once)"
                bar.update(task, description=told, completed=progress.ended, total=progress.started)
            else:
                bar.update(task, description=f"{open_now} open, ended:", completed=progress.ended)

        yield tell


def _show(report: LoadReport, prefix: str) -> None:
    if report.findings:
        out.print(table(("order", "finding", "evidence"), [(f.order_id, f.kind, f.evidence) for f in report.findings]))
    if report.interrupted:
        out.print(f"interrupted after {report.started} of {report.orders} orders; no more were started")
    rows: list[tuple[str, object]] = [("how they ended", ", ".join(f"{n} {s}" for s, n in report.ends.items()) or "-")]
    if report.still_open:
        rows.append(("still open", f"{report.still_open}; audit them later: orderkit audit --since 1h"))
    if report.refused:
        rows.append(("starts refused", ", ".join(f"{n} {error}" for error, n in report.refused.items())))
    if report.starts_repeated:
        rows.append(("starts repeated", report.starts_repeated))
    rows += [
        ("orders a second", f"{report.per_second:.1f}"),
        ("seconds to the end", ", ".join(f"{name} {seconds:.2f}" for name, seconds in report.percentiles.items())),
        ("after the deadline", report.late),
        ("attempts", f"{report.attempts}, {report.retries} of them retries"),
        ("audit", f"{report.audited} orders, {len(report.findings)} findings"),
        ("their ids", f"{prefix}-…; see: orderkit order list --prefix {prefix}"),
    ]
    out.print(table(("", ""), rows))
