"""The selected order's timeline: bars in percent, so that it is crisp at every width."""

from __future__ import annotations

from datetime import datetime
from html import escape

from orderkit.analysis.palette import ATTEMPT_COLOURS, WAITING
from orderkit.analysis.words import course, told_steps
from orderkit.console.state import ConsoleAttempt, ConsoleOrder
from orderkit.core.events import EventType, event_step
from orderkit.core.orders import OrderState
from orderkit.core.steps import Step

# Scales that don't jump with every event.
_SCALES = (0.5, 1, 2, 3, 5, 8, 10, 15, 20, 30, 60, 120, 300, 600, 1800, 3600)
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600)
_MOST_BARS = 200


def timeline_html(order: ConsoleOrder | None, now: datetime) -> str:
    """Attempts as bars, the review's waiting as a line, events as diamonds, over seconds since the order's start.

    It is one picture, with a sentence for who does not see it; the table of events has the details.
    """
    if order is None or not order.history:
        return ""
    last = order.seconds(order.history[-1].ts if order.closed else max(now, order.history[-1].ts))
    span = _span(order, last)
    names = {a.step for a in order.attempts} | {_event_step(event.type) for event in order.history if not event.step}
    rows = "".join(_row(order, step, last, span) for step in Step if step in names)
    grid = f"--okc-step:{_percent(_tick(span), span)}"
    said = escape(_sentence(order), quote=True)
    return f'<div class="okc-timeline" role="img" aria-label="{said}" style="{grid}">{rows}{_axis(order, span)}</div>'


def _sentence(order: ConsoleOrder) -> str:
    courses = {
        str(step): course(outcomes)
        for step in Step
        if (outcomes := [attempt.outcome for attempt in order.attempts if attempt.step == step])
    }
    return f"Order {order.order_id}, step by step: {'; '.join(told_steps(courses)) or 'no attempt yet'}."


def _span(order: ConsoleOrder, last: float) -> float:
    wanted = 1.05 * max(last, 0.05)
    span = next((scale for scale in _SCALES if scale >= wanted), wanted)
    deadline = order.row.deadline_seconds if order.row else 0.0
    return 1.02 * deadline if last <= deadline <= span else span


def _tick(span: float) -> float:
    """At most six parts of the scale."""
    return next((scale for scale in _TICKS if span / scale <= 6), span / 4)


def _row(order: ConsoleOrder, step: Step, last: float, span: float) -> str:
    attempts = [attempt for attempt in order.attempts if attempt.step == step]
    label = f"{step} ×{len(attempts)}" if len(attempts) > 1 else step
    marks = [_wait(order, last, span)] if step == Step.REVIEW else []
    shown = attempts[-_MOST_BARS:]
    following = [*shown[1:], None][: len(shown)]
    marks += [_bar(order, each, after, last, span) for each, after in zip(shown, following, strict=True)]
    for event in order.history:
        if event.step is None and _event_step(event.type) == step:
            title = f"{event.type.replace('_', ' ')}{': ' if event.detail else ''}{event.detail}"
            left = _percent(order.seconds(event.ts), span)
            marks.append(f'<i class="okc-event" style="left:{left}" title="{escape(title)}"></i>')
    return f'<div class="okc-line"><span>{label}</span><div class="okc-track">{"".join(marks)}</div></div>'


def _bar(
    order: ConsoleOrder, attempt: ConsoleAttempt, following: ConsoleAttempt | None, last: float, span: float
) -> str:
    start = order.seconds(attempt.started_at)
    known_end = order.seconds(attempt.ended_at) if attempt.ended_at else last
    # A hung attempt's own end is noted after Temporal gave it up; it must not hide the next one.
    end = min(known_end, order.seconds(following.started_at)) if following else known_end
    outcome = attempt.outcome.replace("_", " ")
    error = f" – {attempt.error}" if attempt.error else ""
    title = f"{attempt.step}, attempt {attempt.number}: {outcome}, {known_end - start:.2f} s{error}"
    width = _percent(max(0.0, end - start), span)
    style = f"left:{_percent(start, span)};width:{width};background-color:{ATTEMPT_COLOURS[attempt.outcome]}"
    bar = f'<i class="okc-bar okc-{attempt.outcome}" style="{style}" title="{escape(title)}"></i>'
    if following is None:
        return bar
    pause = _percent(order.seconds(following.started_at) - end, span)
    return (
        f'<i class="okc-pause" style="left:{_percent(end, span)};width:{pause}" title="wait before a retry"></i>{bar}'
    )


def _wait(order: ConsoleOrder, last: float, span: float) -> str:
    """The review's waiting, from its opening to its end."""
    opened = next((e for e in order.history if e.type == EventType.REVIEW_OPENED), None)
    if opened is None:
        return ""
    ends = (
        e for e in order.history if e.type in (EventType.ORDER_APPROVED, EventType.ORDER_STOPPED) and e.id > opened.id
    )
    ended = next(ends, None)
    if ended is None and order.state != OrderState.IN_REVIEW:
        return ""
    start = order.seconds(opened.ts)
    width = _percent((order.seconds(ended.ts) if ended else last) - start, span)
    style = f"left:{_percent(start, span)};width:{width};border-color:{WAITING}"
    return f'<i class="okc-wait" style="{style}" title="waiting for the review"></i>'


def _axis(order: ConsoleOrder, span: float) -> str:
    step = _tick(span)
    ticks = [step * number for number in range(int(0.95 * span / step) + 1)]
    marks = "".join(f'<span style="left:{_percent(tick, span)}">{tick:g} s</span>' for tick in ticks)
    deadline = order.row.deadline_seconds if order.row else None
    if deadline is not None and deadline <= span:
        marks += f'<b class="okc-deadline" style="left:{_percent(deadline, span)}" title="deadline"></b>'
    note = f"deadline {deadline:g} s" if deadline is not None else ""
    return f'<div class="okc-line okc-axis"><span>{note}</span><div class="okc-track">{marks}</div></div>'


def _event_step(event_type: str) -> Step:
    """The row that an event is drawn in."""
    return event_step(event_type) or Step.CLOSE


def _percent(seconds: float, span: float) -> str:
    return f"{min(100.0, max(0.0, 100 * seconds / span)):.2f}%"
