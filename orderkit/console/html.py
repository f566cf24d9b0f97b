"""What the console shows, as HTML from its state. Whatever a person wrote is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from orderkit.analysis.markup import escape
from orderkit.analysis.palette import ATTEMPT_COLOURS, GREY, OPEN, ORDER_COLOURS, SIGNS, WAITING, ink_on
from orderkit.console.state import STARTING, ConsoleOrder, ConsoleState, EventRow
from orderkit.core.orders import OrderState
from orderkit.core.steps import POLICY_STEPS, Step
from orderkit.stack.controls import told_workers

_MOST_EVENTS = 80
_ASKS = "?"  # the review's sign while it waits


def row_html(order: ConsoleOrder, now: datetime) -> str:
    """An order in the list: a chip for each step, then its end or the time left."""
    chips = "".join(_chip(order, step) for step in POLICY_STEPS)
    last = badge(order.state) if order.closed else _left(order, now)
    return f'<div class="okc-row">{chips}<span class="okc-last">{last}</span></div>'


def list_head_html() -> str:
    """The steps' names over the chips."""
    names = "".join(f'<span class="okc-name"><i>{step}</i></span>' for step in POLICY_STEPS)
    return f'<div class="okc-row okc-dim">{names}<span class="okc-last">left, or end</span></div>'


def list_signs_html() -> str:
    """What the chips' signs mean."""
    signs = "".join(f"<span>{sign} {outcome.replace('_', ' ')}</span>" for outcome, sign in SIGNS.items())
    more = f"<span>{_ASKS} in review</span><span>✔2 by attempt 2</span>"
    return f'<div class="okc-signs okc-dim">{signs}{more}</div>'


def list_foot_html(listed: int, known: int, others: int) -> str:
    """What the list leaves out; empty when it has everything."""
    if listed == known and not others:
        return ""
    rest = " <code>console.table()</code> has more." if listed < known else ""
    return f'<div class="okc-dim">{listed} of {known + others:,} orders are listed.{rest}</div>'


def badge(state: str) -> str:
    """A state in its colour."""
    ground = ORDER_COLOURS.get(state, ORDER_COLOURS[OPEN])
    text = escape(state.replace("_", " "))
    return f'<span class="okc-badge" style="background:{ground};color:{ink_on(ground)}">{text}</span>'


def head_html(state: ConsoleState) -> str:
    """Whether news is pushed, how many orders are where, the ledger's balance, and which orders are wrong."""
    link = (
        '<b class="okc-good">●</b> live'
        if state.trouble is None
        else f'<b class="okc-bad">○ {escape(state.trouble)}</b>'
    )
    counts = " ".join(
        f'<span title="orders {name}">{_dot(ORDER_COLOURS.get(name, ORDER_COLOURS[OPEN]))}{count} {name}</span>'
        for name, count in state.counts.items()
        if count or name in ("running", "shipped")
    )
    covered = f'<span class="okc-dim">{state.covered}:</span>' if state.others else ""
    return (
        f'<div class="okc-head"><span>{link}</span>{covered}<span class="okc-counts">{counts}</span>'
        f"{_balance(state)}</div>{_wrong(state)}"
    )


def workers_html(workers: int | None, extra: Sequence[str] = ()) -> str:
    """How many workers run, and the names of those beside the lab's own."""
    if workers is None:
        return '<span class="okc-workers okc-dim">workers: elsewhere</span>'
    if not workers and not extra:
        return '<b class="okc-workers okc-bad">✖ no worker</b>'
    return f'<span class="okc-workers"><b class="okc-good">●</b> {escape(told_workers(workers, extra))}</span>'


def message_html(kind: str, text: str) -> str:
    """The answer to a click; `kind` is good, bad or busy."""
    sign = {"good": "✔", "bad": "✖", "busy": "…"}[kind]
    # A screen reader says an alert that is put into the page; of a status it must know the place before.
    role = "status" if kind == "busy" else "alert"
    return f'<div class="okc-message okc-{kind}" role="{role}">{_unsaid(sign)} {escape(text)}</div>'


def news_html(order: ConsoleOrder | None) -> str:
    """What a screen reader says of the selected order, unseen: that it waits for a person, stands still, or ended."""
    if order is None:
        return ""
    if order.failing:
        news = "stands still, its workflow fails"
    elif order.closed:
        news = f"has ended: {order.state}"
    elif order.state == OrderState.IN_REVIEW and order.row and order.row.review == "human":
        news = "waits for a yes or a no"
    else:
        return ""
    return f'<div class="okc-unseen" role="alert">{escape(order.order_id)} {news}</div>'


def scroll_handle_html() -> str:
    """What the Tab key reaches, so that the arrow keys scroll; seen while it has the focus."""
    return '<div class="okc-unseen" tabindex="0">the order; arrow keys scroll</div>'


def title_html(order: ConsoleOrder | None, now: datetime) -> str:
    """The selected order: its state, why it stopped, and its money."""
    if order is None:
        return '<div class="okc-dim">Start an order, or select one on the left.</div>'
    lines = [f'<b class="okc-title">{escape(order.order_id)}</b> {badge(order.state)} {_hint(order, now)}']
    row = order.row
    if order.failing:
        lines.append(f'<b class="okc-bad">✖ stands still, its workflow fails: {escape(order.failing)}</b>')
    if row and row.stop_reason:
        by = f" ({escape(row.stopped_by)})" if row.stopped_by else ""
        lines.append(f"<span>why: {escape(row.stop_reason)}{by}</span>")
    if row and row.amount_cents:
        lines.append(_money(order))
    if row and row.address:
        address = row.address
        to = f"{address.street}, {address.city}, {address.state} {address.zip}"
        tracking = f" · tracking {escape(row.tracking)}" if row.tracking else ""
        lines.append(f'<span class="okc-dim">to {escape(to)}{tracking}</span>')
    if row:
        rules = (
            f"policy {row.policy} · faults {row.scenario} · review {row.review} · deadline {row.deadline_seconds:g} s"
        )
        lines.append(f'<span class="okc-dim">{escape(rules)}</span>')
    return f'<div class="okc-lines">{"".join(f"<div>{line}</div>" for line in lines)}</div>'


def events_html(order: ConsoleOrder | None) -> str:
    """The selected order's events, newest first."""
    if order is None:
        return ""
    shown: Sequence[EventRow] = order.history[-_MOST_EVENTS:][::-1]
    rows = "".join(_event_row(order, event) for event in shown)
    more = len(order.history) - len(shown)
    rest = f'<tr><td colspan="4" class="okc-dim">and {more} before</td></tr>' if more else ""
    head = "<tr><th>after</th><th>event</th><th>outcome</th><th>detail</th></tr>"
    return f'<table class="okc-events"><thead>{head}</thead><tbody>{rows}{rest}</tbody></table>'


def plain_html(state: ConsoleState) -> str:
    """The orders as a table, for front ends without widgets."""
    if not state.orders:
        return "<p>The order console. Where no widgets are shown, run <code>console.table()</code> in a cell.</p>"
    head = "".join(f"<th>{name}</th>" for name in ("order", "state", *POLICY_STEPS, "charged", "refunded", "why"))
    rows = "".join(_plain_row(order) for order in state.newest_first)
    balance = state.balance
    caption = (
        f"{state.covered if state.others else f'{len(state.orders)} orders'}; charged {money(balance.charged_cents)}, "
        f"refunded {money(balance.refunded_cents)}, kept {money(balance.kept_cents)}"
    )
    return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def money(cents: int) -> str:
    """An amount; no currency, as everywhere in orderkit."""
    return f"{cents / 100:,.2f}"


def _chip(order: ConsoleOrder, step: str) -> str:
    progress = order.steps.get(step)
    if progress is None:
        return _sign("·", f"{step}: not yet", css="okc-chip okc-none")
    outcome, attempts = progress.outcome, progress.attempts
    if step == Step.REVIEW and outcome == "completed" and order.state == OrderState.IN_REVIEW:
        title = "review: waiting for the timer or a person"
        return _sign(_ASKS, title, f"background:{WAITING};color:#fff")
    ground = ATTEMPT_COLOURS[outcome]
    number = f"{attempts}" if attempts > 1 else ""
    title = f"{step}: {attempts} attempt{'s' * (attempts != 1)}, the last one {outcome.replace('_', ' ')}"
    style = f"background:{ground};color:{ink_on(ground)}"
    return _sign(f"{SIGNS[outcome]}{number}", title, style)


def _sign(sign: str, title: str, style: str = "", css: str = "okc-chip") -> str:
    """A picture of one or two characters, with words for who does not see it."""
    return f'<span class="{css}" role="img" aria-label="{title}" title="{title}" style="{style}">{sign}</span>'


def _unsaid(sign: str) -> str:
    """A sign that screen readers would spell out."""
    return f'<span aria-hidden="true">{sign}</span>'


def _left(order: ConsoleOrder, now: datetime) -> str:
    """The time left: the browser itself animates the bar, so we send nothing for it."""
    left = order.left_seconds(now)
    if left is None or order.row is None:
        return badge(STARTING)
    total = order.row.deadline_seconds
    drain = f"animation:okc-drain {total:g}s linear {left - total:.1f}s both"
    state = escape(order.state.replace("_", " "))
    text = f"<span>{state}</span><b>{left:.0f} s</b>"
    return (
        f'<span class="okc-left" title="{state}, {left:.0f} of {total:g} s left">{text}<i style="{drain}"></i></span>'
    )


def _hint(order: ConsoleOrder, now: datetime) -> str:
    """What it does, or how long it took."""
    row = order.row
    if order.closed and row and row.closed_at:
        took = order.seconds(row.closed_at)
        late = ' <b class="okc-bad">✖ after its deadline</b>' if order.late else ""
        return f'<span class="okc-dim">after {took:.1f} s</span>{late}'
    if order.state == OrderState.IN_REVIEW:
        return "waits for a yes or a no" if row and row.review == "human" else "the timer approves unless you do"
    progress = order.steps.get(order.step)
    if progress is None:
        return "waits for a worker"
    return f"{escape(order.step)}, attempt {progress.attempts}: {progress.outcome.replace('_', ' ')}"


def _money(order: ConsoleOrder) -> str:
    row = order.row
    assert row is not None
    text = f"charged {money(row.charged_cents)} · refunded {money(row.refunded_cents)} · kept {money(order.kept_cents)}"
    match order.money_is_right:
        case None:
            return f"{text} of {money(row.amount_cents)}"
        case True:
            verdict = "charged once" if order.state == OrderState.SHIPPED else "nothing kept"
            return f'{text} <b class="okc-good">✔ {verdict}</b>'
        case False:
            return f'{text} <b class="okc-bad">✖ should be {"charged once" if order.state == "shipped" else "0.00"}</b>'


def _balance(state: ConsoleState) -> str:
    balance = state.balance
    return (
        f'<span class="okc-balance" title="the payment provider\'s own ledger over {state.covered}; '
        f'{money(balance.open_cents)} of what it keeps is for orders that have not ended">ledger: '
        f"charged <b>{money(balance.charged_cents)}</b> − refunded <b>{money(balance.refunded_cents)}</b> "
        f"= kept <b>{money(balance.kept_cents)}</b></span>"
    )


def _wrong(state: ConsoleState) -> str:
    """Every order whose own page says ✖ of its end, by name."""
    if not state.wrong:
        return ""
    return f'<div class="okc-wrong okc-bad"><b>✖ wrong: {escape(", ".join(state.wrong))}</b></div>'


def _event_row(order: ConsoleOrder, event: EventRow) -> str:
    name, outcome, css = event.type.replace("_", " "), "", ""
    if event.step is not None:
        name = f"{event.step} {event.attempt} {'starts' if event.type == 'step_started' else 'ends'}"
        css = ' class="okc-dim"'
    if event.outcome:
        outcome = f"{_dot(ATTEMPT_COLOURS.get(event.outcome, GREY))}{event.outcome.replace('_', ' ')}"
    detail = escape(event.error or event.detail)
    after = f"{order.seconds(event.ts):.2f} s"
    return f"<tr{css}><td>{after}</td><td>{escape(name)}</td><td>{outcome}</td><td>{detail}</td></tr>"


def _plain_row(order: ConsoleOrder) -> str:
    steps = (order.steps.get(step) for step in POLICY_STEPS)
    signs = [f"{SIGNS[step.outcome]} {step.attempts}" if step else "" for step in steps]
    row = order.row
    amounts = [money(row.charged_cents), money(row.refunded_cents)] if row else ["", ""]
    cells = [order.order_id, order.state, *signs, *amounts, row.stop_reason if row else ""]
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _dot(colour: str) -> str:
    return f'<i class="okc-dot" style="background:{colour}"></i>'
