"""The selected order: what it does, what happened, and the buttons to steer it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import ipywidgets as widgets

from orderkit.console.commands import Cancel, Command, Decide, change_address
from orderkit.console.html import events_html, news_html, scroll_handle_html, title_html
from orderkit.console.state import ConsoleOrder
from orderkit.console.timeline import timeline_html
from orderkit.core.choices import Via

_ADDRESS = {"street": "38%", "city": "26%", "state": "14%", "zip": "18%"}

_VIA = "an update is answered: accepted, or refused and why; a signal is only sent"


class OrderPanel:
    """`act` gets the name of the button that was clicked: approve, reject, cancel or address."""

    def __init__(self, act: Callable[[str], None]) -> None:
        self.title, self.timeline, self.events = (widgets.HTML(layout=_part("auto", "0 0 auto")) for _ in range(3))
        self.news = widgets.HTML(layout=_part("auto", "0 0 auto"))
        self.who = _named("who asks; kept with the order", widgets.Text("you", placeholder="who", layout=_part("22%")))
        self.why = _named("reason or note", widgets.Text(placeholder="reason or note", layout=_part("48%")))
        options = [("by update", "update"), ("by signal", "signal")]
        self.via = _named(f"how it is sent; {_VIA}", widgets.Dropdown(options=options, layout=_part("26%")))
        self.address = {
            name: _named(name, widgets.Text(placeholder=name, layout=_part(width))) for name, width in _ADDRESS.items()
        }
        self.buttons = {
            "approve": _button("✔ Approve"),
            "reject": _button("✖ Reject"),
            "cancel": _button("Cancel order"),
            "address": _button("Change address"),
        }
        for name, button in self.buttons.items():
            button.on_click(lambda _, name=name: act(name))
        self._shown: ConsoleOrder | None = None
        self._filled_for: str | None = None
        # What grows is above and scrolls, so that no button moves away from the hand that wants to click it.
        handle = widgets.HTML(scroll_handle_html(), layout=_part("auto", "0 0 auto"))
        scrolled = widgets.Layout(overflow="hidden auto", flex="1 1 auto", min_height="0")
        self.root = widgets.VBox(
            [
                self.news,
                widgets.VBox([handle, self.title, self.timeline, self.events], layout=scrolled),
                _line(self.who, self.why, self.via),
                _line(*self.address.values()),
                _line(*self.buttons.values()),
            ]
        )
        self.lock(frozenset())

    def command(self, name: str, order_id: str) -> Command:
        """What the button asks for, with the panel's fields; raises InvalidOrder."""
        who, why = self.who.value.strip(), self.why.value.strip()
        match name:
            case "approve" | "reject":
                return Decide(order_id, name == "approve", who, why)
            case "cancel":
                return Cancel(order_id, who, why)
            case _:
                return change_address(order_id, who, **{key: each.value.strip() for key, each in self.address.items()})

    @property
    def chosen_via(self) -> Via:
        """Update or signal."""
        via: Via = self.via.value
        return via

    def show(self, order: ConsoleOrder | None, now: datetime, tick: bool = False) -> None:
        """Show the order; on a tick, only what time has changed."""
        if tick and (order is None or order.closed):
            return
        if order is not self._shown or tick:
            self.title.value = title_html(order, now)
            self.timeline.value = timeline_html(order, now)
        if order is not self._shown:
            self.events.value = events_html(order)
            self.news.value = news_html(order)
            if order and (order.order_id != self._filled_for):
                self._fill_address(order)
        self._shown = order

    def lock(self, busy: frozenset[str]) -> None:
        """Lock the buttons that are at work, or can do nothing for the order shown."""
        order = self._shown
        for name, button in self.buttons.items():
            if order is None or order.closed or (name in ("approve", "reject") and not order.undecided):
                button.disabled = True
            else:
                button.disabled = f"{name}:{order.order_id}" in busy

    def _fill_address(self, order: ConsoleOrder) -> None:
        """Once its address is known; then the fields are the person's."""
        address = order.row.address if order.row else None
        self._filled_for = order.order_id if address else None
        for name, field in self.address.items():
            field.value = getattr(address, name, "")


def _part(width: str, flex: str = "1 1 auto") -> widgets.Layout:
    return widgets.Layout(width=width, min_width="0", flex=flex)


def _line(*children: widgets.Widget) -> widgets.HBox:
    return widgets.HBox(list(children), layout=widgets.Layout(flex="0 0 auto", min_width="0", overflow="hidden"))


def _named(name: str, widget: widgets.DescriptionWidget) -> widgets.DescriptionWidget:
    """For screen readers; there is no room for a label that is seen."""
    widget.description = name
    widget.add_class("okc-named")
    return widget


def _button(text: str) -> widgets.Button:
    return widgets.Button(description=text, tooltip=_VIA, layout=_part("auto"))
