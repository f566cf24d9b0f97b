"""The console's fold and its HTML: any order of reads, and any repetition, gives the same state.

One file, though long: one state is folded, and drawn.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderkit.analysis import palette
from orderkit.console.commands import change_address, next_ids, start_commands, starting_row
from orderkit.console.html import events_html, head_html, list_foot_html, message_html, plain_html, row_html, title_html
from orderkit.console.order_list import OrderList
from orderkit.console.state import AttemptsRead, Change, ConsoleAttempt, ConsoleOrder, ConsoleState, EventRow, OrderRow
from orderkit.console.table import COLUMNS, orders_frame
from orderkit.console.timeline import timeline_html
from orderkit.core.orders import Address
from orderkit.errors import InvalidFaultPlan, InvalidOrder

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def row(state: str = "charged", read: float = 1, **fields: Any) -> OrderRow:
    known: dict[str, Any] = {"order_id": "A-1", "read_at": at(read), "started_at": START, "deadline_seconds": 15.0}
    return OrderRow(**{**known, "state": state, "amount_cents": 5090, **fields})


def attempt_event(
    number: int, event_id: int, outcome: str | None = None, step: str = "charge", error: str = ""
) -> EventRow:
    """The start of an attempt, or with an outcome its end."""
    return EventRow(
        id=event_id,
        order_id="A-1",
        type="step_ended" if outcome else "step_started",
        ts=at(event_id / 10),
        step=step,
        attempt=number,
        outcome=outcome,
        run_id="run",
        activity_id=step,
        error=error,
    )


def attempt(number: int, outcome: str, step: str = "charge", error: str = "") -> ConsoleAttempt:
    """A tenth of a second long, unless it has no end."""
    ended_at = None if outcome in ("running", "lost") else at(0.2 * number + 0.1)
    return ConsoleAttempt(step, number, outcome, error, at(0.2 * number), ended_at, "host:1")


def read(*attempts: ConsoleAttempt, seconds: float = 1, order_id: str = "A-1") -> AttemptsRead:
    return AttemptsRead(order_id, at(seconds), attempts)


def after(*changes: Change) -> ConsoleState:
    state = ConsoleState()
    for change in changes:
        state = state.after(change)
    return state


def an_order(
    *attempts: ConsoleAttempt, events: tuple[EventRow, ...] = (), state: str = "charged", **fields: Any
) -> ConsoleOrder:
    return after(Change((row(state, **fields),), events, (read(*attempts),))).orders["A-1"]


@st.composite
def histories(draw: st.DrawFn) -> list[Change]:
    """What one connection may read of three orders while they run: growing snapshots, with the events so far."""
    changes: list[Change] = []
    clock = 0
    for order_id in ("A-1", "A-2", "A-3"):
        events: list[EventRow] = []
        for state in draw(st.lists(st.sampled_from(["received", "validated", "charged", "shipped"]), max_size=4)):
            clock += 1
            kind = draw(st.sampled_from(["step_started", "step_ended", "payment_charged"]))
            number = draw(st.integers(1, 2))
            event = replace(attempt_event(number, clock), order_id=order_id, type=kind, outcome="failed")
            events.append(event)
            order = row(state, clock, order_id=order_id, charged_cents=clock)
            attempts = read(*(attempt(n, "failed") for n in range(1, number + 1)), seconds=clock, order_id=order_id)
            changes.append(Change((order,), tuple(draw(st.sampled_from([events, [event]]))), (attempts,)))
    return changes


@given(st.data())
def test_reads_in_any_order_and_repeated_give_the_same_state(data: st.DataObject) -> None:
    changes = data.draw(histories())
    repeated = data.draw(st.lists(st.sampled_from(changes))) if changes else []
    shuffled = data.draw(st.permutations([*changes, *repeated]))
    one, other = after(*changes), after(*shuffled)
    assert one.orders == other.orders
    assert (one.counts, one.balance) == (other.counts, other.balance)
    assert [order.steps for order in one.newest_first] == [order.steps for order in other.newest_first]


def test_orders_that_a_read_does_not_touch_stay_the_same_objects() -> None:
    before = after(Change((row(), row(order_id="A-2"))))
    now = before.after(Change(events=(attempt_event(1, 1),), attempts=(read(attempt(1, "running")),)))
    assert now.orders["A-2"] is before.orders["A-2"]
    assert now.orders["A-1"] is not before.orders["A-1"]
    assert now.after(Change(events=(attempt_event(1, 1),))).orders["A-1"] is now.orders["A-1"]
    assert now.after(Change(attempts=(read(seconds=0.5),))).orders["A-1"] is now.orders["A-1"]  # an older read


def test_attempts_are_counted_and_the_last_one_tells_the_steps_outcome() -> None:
    order = an_order(attempt(1, "failed", error="boom"), attempt(2, "running"))
    assert order.steps["charge"].attempts == 2
    assert order.steps["charge"].outcome == "running"
    assert order.step == "charge"
    assert [(error.number, error.error) for error in order.errors] == [(1, "boom")]


def test_an_order_shows_before_the_database_knows_it_and_is_replaced_by_what_is_read() -> None:
    [command] = start_commands(
        ["A-1"], policy="spec", scenario="calm", script="", seed=0, review="auto", deadline_seconds=9
    )
    state = after(Change((starting_row(command, START),)))
    assert state.orders["A-1"].state == "starting"
    assert state.orders["A-1"].left_seconds(at(2)) == 7
    assert state.after(Change((row("received"),))).orders["A-1"].state == "received"
    assert after(Change((row("received"),)), Change((starting_row(command, at(9)),))).orders["A-1"].state == "received"


def test_events_may_come_before_the_order() -> None:
    first = Change(events=(attempt_event(1, 1, step="receive"),), attempts=(read(attempt(1, "running", "receive")),))
    order = after(first).orders["A-1"]
    assert (order.state, order.step, order.left_seconds(at(3))) == ("starting", "receive", None)
    assert "receive" in row_html(order, at(3))


def test_the_deadline_left_never_leaves_its_bounds() -> None:
    order = an_order()
    assert [order.left_seconds(at(seconds)) for seconds in (-3, 5, 99)] == [15, 10, 0]
    assert an_order(state="shipped", closed_at=at(3)).left_seconds(at(5)) is None


@pytest.mark.parametrize(
    ("state", "charged", "refunded", "right"),
    [
        ("charged", 5090, 0, None),
        ("shipped", 5090, 0, True),
        ("shipped", 10180, 0, False),
        ("shipped", 0, 0, False),
        ("cancelled", 5090, 5090, True),
        ("cancelled", 5090, 0, False),
        ("failed", 0, 0, True),
    ],
)
def test_the_money_is_judged_at_the_end(state: str, charged: int, refunded: int, right: bool | None) -> None:
    order = an_order(state=state, charged_cents=charged, refunded_cents=refunded, closed_at=at(3))
    assert order.money_is_right is right
    assert ('class="okc-bad"' in title_html(order, at(4))) is (right is False)


def test_the_balance_adds_up_and_names_what_is_wrong() -> None:
    state = after(
        Change(
            (
                row("shipped", order_id="A-1", charged_cents=5090),
                row("cancelled", order_id="A-2", charged_cents=5090),
                row("failed", order_id="A-3", charged_cents=5090, refunded_cents=5090),
                row("charged", order_id="A-4", charged_cents=5090),
            )
        )
    )
    balance = state.balance
    assert (balance.charged_cents, balance.refunded_cents, balance.kept_cents) == (20360, 5090, 15270)
    assert (balance.open_cents, state.wrong) == (5090, ("A-2",))
    assert state.counts == {"running": 1, "shipped": 1, "cancelled": 1, "rejected": 0, "failed": 1}


def test_the_head_names_every_order_whose_own_page_says_that_it_is_wrong() -> None:
    rows = [row("cancelled", order_id=f"A-{number}", charged_cents=5090, closed_at=at(3)) for number in range(1, 5)]
    rows.append(row("failed", order_id="late", closed_at=at(20)))
    rows.append(row("failed", order_id="right", closed_at=at(3)))
    failing = EventRow(id=1, order_id="deaf", type="workflow_failing", ts=at(1), detail="KeyError in line 42")
    state = after(Change((*rows, row("received", order_id="deaf")), (failing,)))
    assert "wrong: A-1, A-2, A-3, A-4, deaf, late</b>" in head_html(state)
    pages = {order_id: title_html(order, at(30)) for order_id, order in state.orders.items()}
    assert tuple(sorted(order_id for order_id, page in pages.items() if "✖" in page)) == state.wrong


def test_counts_sums_and_list_say_which_orders_they_cover() -> None:
    state = after(Change((row("shipped", order_id="A-1"), row("shipped", order_id="A-2"))))
    assert state.covered == "all 2 orders"
    assert "newest" not in head_html(state)
    partly = state.after(Change(others=1_232))
    assert partly.covered == "the newest 2 of 1,234 orders"
    assert "the newest 2 of 1,234 orders" in head_html(partly)
    assert "the newest 2 of 1,234 orders; charged" in plain_html(partly)
    assert partly.after(Change()).others == 1_232
    assert list_foot_html(2, 2, 0) == ""
    assert "2 of 1,234 orders are listed." in list_foot_html(2, 2, 1_232)
    assert "60 of 80 orders are listed. <code>console.table()</code> has more." in list_foot_html(60, 80, 0)


def test_whatever_a_person_wrote_is_escaped() -> None:
    evil = "<img src=x onerror=alert(1)>"
    events = (
        attempt_event(1, 1, error=evil),
        EventRow(2, "A-1", "order_stopped", at(1), detail=evil),
        attempt_event(1, 3, "failed", error=evil),
    )
    order = an_order(
        attempt(1, "failed", error=evil),
        events=events,
        stop_reason=evil,
        stopped_by=evil,
        address=Address(evil, evil, evil, evil),
        policy=evil,
        tracking=evil,
    )
    state = ConsoleState(orders={evil: replace(order, order_id=evil)}, trouble=evil)
    shown = [title_html(order, at(2)), events_html(order), timeline_html(order, at(2)), plain_html(state)]
    shown += [head_html(state), message_html("bad", evil), row_html(order, at(2))]
    assert not [html for html in shown if "<img" in html]
    assert sum("&lt;img" in html for html in shown) == 6  # the row tells nothing that a person wrote


def test_the_timeline_shows_every_attempt_and_event_within_its_width() -> None:
    html = timeline_html(
        an_order(
            attempt(1, "timed_out"),
            attempt(2, "running"),
            events=(
                EventRow(4, "A-1", "payment_charged", at(0.4)),
                EventRow(5, "A-1", "something_new", at(0.5)),
            ),
        ),
        at(1),
    )
    assert html.count("okc-bar") == 2
    assert html.count("okc-event") == 2
    assert "charge ×2" in html
    shares = [float(part.split("%")[0]) for part in html.split("left:")[1:]]
    assert all(0 <= share <= 100 for share in shares)


@pytest.mark.parametrize(
    ("base", "taken", "copies", "free"),
    [
        ("tea", [], 1, ["tea"]),
        ("tea", ["tea"], 1, ["tea-1"]),
        ("tea-1", ["tea-1", "tea-7", "other-9"], 1, ["tea-8"]),
        ("tea-1", ["tea-7"], 1, ["tea-8"]),  # the older ones are not known
        ("tea-9", ["tea-7"], 1, ["tea-9"]),
        ("tea-1", ["tea-1"], 3, ["tea-2", "tea-3", "tea-4"]),
        ("tea-5", [], 2, ["tea-5", "tea-6"]),
        ("tea", [], 2, ["tea-1", "tea-2"]),
    ],
)
def test_free_ids_count_on(base: str, taken: list[str], copies: int, free: list[str]) -> None:
    assert next_ids(base, taken, copies) == free


def test_wrong_fields_are_named() -> None:
    fields: dict[str, Any] = {
        "policy": "spec",
        "scenario": "calm",
        "script": "",
        "seed": 0,
        "review": "auto",
        "deadline_seconds": 15,
    }
    with pytest.raises(InvalidOrder, match="order_id"):
        start_commands(["no spaces"], **fields)
    with pytest.raises(InvalidFaultPlan, match="explode"):
        start_commands(["A-1"], **{**fields, "script": "charge=explode"})
    with pytest.raises(InvalidOrder, match="deadline"):
        start_commands(["A-1"], **{**fields, "deadline_seconds": 0.1})
    with pytest.raises(InvalidOrder, match="city"):
        change_address("A-1", "you", street="2 Side Street", city="", state="IL", zip="62702")


def test_the_table_has_its_columns_also_when_it_is_empty() -> None:
    assert {name: str(dtype) for name, dtype in orders_frame(ConsoleState(), START).dtypes.items()} == COLUMNS
    state = after(Change((row(charged_cents=5090), row("cancelled", order_id="A-2", stop_reason="late"))))
    ended, open_one = orders_frame(state, at(5)).to_dict("records")
    assert (open_one["order"], open_one["left_seconds"], open_one["kept"]) == ("A-1", 10.0, 50.9)
    assert (ended["order"], ended["why"], math.isnan(ended["left_seconds"])) == ("A-2", "late", True)


def test_a_full_list_gives_the_rows_of_ended_orders_to_new_ones() -> None:
    rows = OrderList(lambda _: None)
    orders = {
        f"A-{n}": ConsoleOrder(f"A-{n}", row("charged" if n % 2 else "shipped", order_id=f"A-{n}")) for n in range(80)
    }
    rows.show(orders, "A-79", at(1))
    rows.show(orders, "A-79", at(2), tick=True)
    shown = {order_id for order_id in orders if rows.html_of(order_id)}
    assert len(shown) == 60
    assert {order_id for order_id, order in orders.items() if not order.closed} <= shown
    assert len(rows.root.children[1].children) == 60


@pytest.mark.parametrize("ground", sorted({*palette.ATTEMPT_COLOURS.values(), *palette.ORDER_COLOURS.values()}))
def test_letters_can_be_read_on_every_colour(ground: str) -> None:
    def luminance(colour: str) -> float:
        digits = colour.lstrip("#")
        parts = (
            [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
            if len(digits) == 6
            else [int(digit * 2, 16) / 255 for digit in digits]
        )
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, light = sorted([luminance(ground), luminance(palette.ink_on(ground))])
    assert (light + 0.05) / (dark + 0.05) >= 4.5
