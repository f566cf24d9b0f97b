"""`audit()`: every order, every rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from temporalio.client import Client

from orderkit.audit.collect import collect
from orderkit.audit.rules import Finding, FindingKind, judge
from orderkit.store.audit import ledger_without_order
from orderkit.store.database import Pool


@dataclass(frozen=True)
class AuditReport:
    """How many orders were looked at, and every disagreement."""

    orders: int
    findings: list[Finding]
    without_history: int = 0  # of which Temporal has none (any more): only their tables and ledgers were compared


async def audit(
    pool: Pool,
    client: Client,
    order_ids: Sequence[str] | None = None,
    progress: Callable[[int], None] = lambda done: None,
    since: datetime | None = None,
) -> AuditReport:
    """Audit the orders named, or all, or those created since then; calls `progress` with how many are done."""
    findings: list[Finding] = []
    done = without_history = 0
    async for order in collect(pool, client, order_ids, since):
        findings += judge(order)
        done += 1
        without_history += order.history is None
        progress(done)
    if order_ids is None:
        for order_id, what in await ledger_without_order(pool, since):
            findings.append(Finding(order_id, FindingKind.UNKNOWN_ORDER, f"the ledger has a {what}"))
    return AuditReport(done, findings, without_history)
