"""How things show themselves in a notebook: plain text for every front end, HTML with inline styles for the others.

Nothing here shows a time, a port or a numbered id unless that is its purpose (`Links`), so that strict nbval can
compare it. Colours come with text or a sign, and grounds stay the theme's own: dark themes and projectors work.
"""

from __future__ import annotations

import html
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orderkit.analysis.markup import escape
from orderkit.analysis.palette import BAD, BADGE_COLOURS, GOOD, OPEN, SIGNS
from orderkit.contract import AttemptList, OrderStatus
from orderkit.core.orders import OrderId, order_workflow_id

_MOST_COLUMNS = 88  # of code: at 1280 pixels, beside the file browser, a longer line is broken in the middle of a word
_CARD = (
    "display:inline-block;min-width:30em;padding:.7em 1em;font-size:115%;line-height:1.7;"
    "border:1px solid #8A8A8A;border-left-width:.5em;border-radius:6px"
)


@dataclass(frozen=True)
class Order:
    """An order as it was when it was last looked at; `await lab.orders.status(order)` looks again."""

    name: str  #: what the notebook calls it
    id: OrderId  #: its real id, which ends in a number when the name was taken
    last: OrderStatus | None = None  #: what the REST API said of it; None right after the start
    signs: tuple[tuple[str, str], ...] = ()  #: each step with a sign for each of its attempts

    @property
    def state(self) -> str:
        """Its state when it was last looked at; `started` before the first look."""
        return self.last.state if self.last else "started"

    @property
    def outcome(self) -> str | None:
        """How it ended; None while it has not."""
        return self.last.outcome if self.last else None

    @property
    def reason(self) -> str:
        """Why it was stopped, empty if it was not."""
        return (self.last.stop_reason or "").replace(self.id, self.name) if self.last else ""

    @property
    def workflow_id(self) -> str:
        """Its workflow in Temporal."""
        return order_workflow_id(self.id)

    def seen(self, status: OrderStatus, attempts: AttemptList) -> Order:
        """The same order with what is known now."""
        signs: dict[str, str] = {}
        for attempt in attempts.attempts:
            signs[attempt.step] = signs.get(attempt.step, "") + SIGNS[attempt.outcome]
        return Order(self.name, self.id, status, tuple(signs.items()))

    def __repr__(self) -> str:
        return f"Order {self.name}: {self.state}" + (f" ({self.reason})" if self.reason else "")

    def _repr_html_(self) -> str:
        ground = BADGE_COLOURS[self.outcome or OPEN]
        badge = f"padding:.15em .7em;border-radius:1em;color:#fff;background:{ground};font-weight:bold"
        lines = [f'<b>Order {escape(self.name)}</b> &nbsp; <span style="{badge}">{escape(self.state)}</span>']
        if self.signs:
            lines.append(" &nbsp;·&nbsp; ".join(f"{escape(step)} {signs}" for step, signs in self.signs))
        if self.last and self.last.payment:
            payment = self.last.payment
            amount = "" if payment.status == "voided" else f", {payment.amount}"  # nothing had gone through
            lines.append(f"payment: {payment.status}{amount}")
        if self.reason:
            lines.append(f"why: {escape(self.reason)}")
        return f'<div style="{_CARD};border-left-color:{ground}">{"<br>".join(lines)}</div>'


@dataclass(frozen=True)
class Links(Mapping[str, str]):
    """Addresses by name, to click on. They hold ports and ids: a cell that shows them is not compared."""

    addresses: dict[str, str]  #: by name

    def __getitem__(self, name: str) -> str:
        return self.addresses[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.addresses)

    def __len__(self) -> int:
        return len(self.addresses)

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {url}" for name, url in self.addresses.items())

    def _repr_html_(self) -> str:
        links = (
            f'<li><a href="{html.escape(url)}" target="_blank" rel="noopener">{escape(name)}</a> '
            f"<code>{escape(url)}</code></li>"
            for name, url in self.addresses.items()
        )
        return f'<ul style="font-size:115%">{"".join(links)}</ul>'


@dataclass(frozen=True)
class Audit:
    """How many orders were audited, and every disagreement found, as (order, finding, evidence)."""

    orders: int  #: how many were audited
    findings: tuple[tuple[str, str, str], ...]  #: as (order, finding, evidence)

    def __repr__(self) -> str:
        orders = f"{self.orders} order{'s' * (self.orders != 1)} audited"
        if not self.findings:
            return f"{orders}: history, tables and ledgers agree"
        lines = "\n".join(f"  {order}: {finding}: {evidence}" for order, finding, evidence in self.findings)
        return f"{orders}, {len(self.findings)} finding{'s' * (len(self.findings) != 1)}:\n{lines}"

    def _repr_html_(self) -> str:
        sign, colour = ("✖", BAD) if self.findings else ("✔", GOOD)
        lines = [f"{sign} {escape(line)}" for line in repr(self).splitlines()[:1]]
        lines += [
            f"<b>{escape(order)}</b>: {escape(finding.replace('_', ' '))}: {escape(evidence)}"
            for order, finding, evidence in self.findings
        ]
        style = f"font-size:115%;line-height:1.7;padding:.3em 1em;border-left:.5em solid {colour}"
        return f'<div style="{style}">{"<br>".join(lines)}</div>'


@dataclass(frozen=True)
class Joined:
    """That you are in a class, and what its board hears."""

    name: str  #: as the board shows it
    board: str  #: where it is

    def __repr__(self) -> str:
        return (
            f"{self.name} is in the class. Its board ({self.board}) hears your name, lesson, round, predictions and "
            "verdicts from all notebooks of this lab, and nothing else.\nTo leave: await lab.leave()"
        )

    def _repr_html_(self) -> str:
        return _told(repr(self), GOOD)


@dataclass(frozen=True)
class Run:
    """A run of your own workflow, as it was when it was last looked at."""

    name: str  #: what the notebook calls it
    id: str  #: its workflow's id, which ends in a number when the name was taken
    workflow: str  #: the name of its class
    state: str = "running"  #: or completed, failed, terminated, canceled, timed_out
    result: Any = None  #: what it returned
    failure: str = ""  #: what it failed with

    def __repr__(self) -> str:
        ended = f": {self.result!r}" if self.state == "completed" else f": {self.failure}" if self.failure else ""
        return f"Run {self.name}: {self.state.replace('_', ' ')}{ended}"

    def _repr_html_(self) -> str:
        return _told(repr(self), {"running": BADGE_COLOURS[OPEN], "completed": GOOD}.get(self.state, BAD))


@dataclass(frozen=True)
class Module:
    """The result of a `%%workflow` cell."""

    name: str  #: of its file, without `.py`
    workflows: tuple[str, ...]  #: the names of those in it
    activities: tuple[str, ...]  #: the names of those in it, and of those that it imports
    notes: tuple[str, ...] = ()  #: what goes well, but not as one may think

    def __repr__(self) -> str:
        kinds = (("workflow", "workflows", self.workflows), ("activity", "activities", self.activities))
        listed = "; ".join(
            f"{one if len(names) == 1 else several} {', '.join(names)}" for one, several, names in kinds if names
        )
        if not listed:
            return "\n".join(self.notes)
        served = "its worker runs" if self.workflows else "no workflow in it, so no worker"
        return "\n".join([f"{self.name}.py: {listed}; {served}", *self.notes])

    def _repr_html_(self) -> str:
        return _told(repr(self), GOOD if self.workflows or self.activities else BADGE_COLOURS[OPEN])


@dataclass(frozen=True)
class PytestResult:
    """The result of one test."""

    test: str  #: its name; empty where the file could not be read
    outcome: str  #: passed, failed or skipped
    line: int  #: of the cell, where it failed
    message: str  #: why it failed

    @property
    def passed(self) -> bool:
        """Whether it did."""
        return self.outcome == "passed"

    def __str__(self) -> str:
        if self.outcome != "failed":
            return f"{'✔' if self.passed else '–'} {self.test}"
        return f"✖ {self.test or 'the file'}: line {self.line}: {self.message}"


@dataclass(frozen=True)
class PytestReport:
    """pytest's report on a `%%test` cell; truthy if there were tests and all of them passed."""

    name: str  #: of the tests
    results: tuple[PytestResult, ...]  #: in their order

    def __bool__(self) -> bool:
        return bool(self.results) and all(result.passed for result in self.results)

    def __repr__(self) -> str:
        passed = sum(result.passed for result in self.results)
        failed = sum(result.outcome == "failed" for result in self.results)
        counted = ", ".join(f"{n} {word}" for n, word in ((failed, "failed"), (passed, "passed")) if n)
        return "\n".join([*map(str, self.results), counted or "no test in it: a test is a function called test_…"])

    def _repr_html_(self) -> str:
        return _told(repr(self), (GOOD if self else BAD) if self.results else BADGE_COLOURS[OPEN])


def _told(text: str, colour: str) -> str:
    """Lines of text, beside a stripe."""
    style = f"font-size:115%;line-height:1.7;padding:.3em 1em;border-left:.5em solid {colour};white-space:pre-wrap"
    return f'<div style="{style}">{escape(text)}</div>'


@dataclass(frozen=True)
class Source:
    """Python code, in the colours of the theme."""

    code: str  #: as text

    def __repr__(self) -> str:
        return self.code

    def _repr_markdown_(self) -> str:
        return f"```python\n{self.code}\n```"


def source(thing: Any) -> Source:
    """The code of a function, class or module as it is installed here; a line that is too long for a notebook goes on
    in the next one.
    """
    code = inspect.cleandoc("\n" + inspect.getsource(thing))
    return Source("\n".join(part for line in code.splitlines() for part in _wrapped(line)))


def _wrapped(line: str) -> list[str]:
    """A line of code in parts that a notebook shows whole: broken between words, indented further, comments go on."""
    if len(line) <= _MOST_COLUMNS:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    comment = line.lstrip().startswith("#")
    quoted = line.lstrip().startswith(('"""', 'r"""'))
    further = indent + ("# " if comment else "" if quoted else " " * 8)
    return textwrap.wrap(line, _MOST_COLUMNS, subsequent_indent=further, break_long_words=False, break_on_hyphens=False)
