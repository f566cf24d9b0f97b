"""How the museum shows itself: plain text for every front end, HTML for the others; the same in every run."""

from __future__ import annotations

from dataclasses import dataclass

from orderkit.analysis.markup import escape
from orderkit.audit.rules import FindingKind
from orderkit.core.orders import OrderId
from orderkit.lessons.museum.exhibits import Exhibit


@dataclass(frozen=True)
class Visit:
    """An exhibit that was run: what became of its order and its workflow, and what the auditor found right then.

    Later, reconcile may have put some of it right.
    """

    exhibit: Exhibit
    faults: str  # the visitor's own; empty for those of the exhibit
    order_id: OrderId
    state: str
    workflow: str
    attempts: tuple[tuple[str, str], ...]  # step, outcome
    ledger: tuple[str, ...]  # what the payment provider and the carrier wrote down
    findings: tuple[tuple[FindingKind, str], ...]  # with their evidence

    @property
    def kinds(self) -> list[str]:
        """The auditor's findings, each once, sorted."""
        return sorted({kind.value for kind, _ in self.findings})

    def _lines(self) -> list[str]:
        found = [f"✖ {kind}: {evidence}" for kind, evidence in self.findings]
        ended = f"order: {self.state}, workflow: {self.workflow}"
        return [ended, *(found or ["✔ history, tables and ledgers agree"])]

    def __repr__(self) -> str:
        return "\n".join([self.exhibit.title, *self._lines()])

    def _repr_html_(self) -> str:
        colour = "#B04A00" if self.findings else "#00765A"
        style = f"font-size:115%;line-height:1.7;padding:.5em 1em;border-left:.5em solid {colour}"
        lines = [f"<b>{escape(self.exhibit.title)}</b>", *map(escape, self._lines())]
        return f'<div style="{style}">{"<br>".join(lines)}</div>'


@dataclass(frozen=True)
class Listing:
    """A table of texts; unlike a DataFrame it shortens none."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __repr__(self) -> str:
        return "\n".join(" | ".join(row) for row in (self.columns, *self.rows))

    def _repr_html_(self) -> str:
        style = 'style="text-align:left"'
        head = "".join(f"<th {style}>{escape(column)}</th>" for column in self.columns)
        rows = ("".join(f"<td {style}>{escape(text)}</td>" for text in row) for row in self.rows)
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f'<table style="font-size:115%"><tr>{head}</tr>{body}</table>'


def lasting(kind: FindingKind, evidence: str) -> str:
    """The evidence without the seconds that differ each time."""
    return evidence.partition("; ")[2] if kind is FindingKind.PAST_DEADLINE else evidence
