"""The list of orders: a button to select each, and its steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import ipywidgets as widgets

from orderkit.console.html import list_foot_html, list_head_html, list_signs_html, row_html
from orderkit.console.state import ConsoleOrder

_MOST_ROWS = 60


class _Row:
    """Widgets for one order; given to another when the list is full."""

    def __init__(self, select: Callable[[str], None], shared: Mapping[str, widgets.Widget]) -> None:
        self.order = ConsoleOrder("")
        self._picked = False
        self.button = widgets.Button(layout=shared["button"], style=shared["style"])
        self.button.on_click(lambda _: select(self.order.order_id))
        self.steps = widgets.HTML(layout=shared["steps"])
        # CSS sorts the rows: a new one at the top moves no other.
        self.root = widgets.HBox([self.button, self.steps], layout=widgets.Layout(flex="0 0 auto", min_width="0"))
        self.root.add_class("okc-pick")

    def show(self, order: ConsoleOrder, now: datetime) -> None:
        if self.order.order_id != order.order_id:
            self.button.description = _short(order.order_id)
            self._say_what_it_does(order)
        self.order = order
        self.steps.value = row_html(order, now)

    def pick(self, picked: bool) -> None:
        if picked != self._picked:
            self._picked = picked
            change = self.root.add_class if picked else self.root.remove_class
            change("okc-picked")
            self._say_what_it_does(self.order)

    def _say_what_it_does(self, order: ConsoleOrder) -> None:
        self.button.tooltip = f"{order.order_id} is selected" if self._picked else f"select {order.order_id}"


def _short(order_id: str) -> str:
    """What fits the button; the end is what tells orders apart."""
    return order_id if len(order_id) <= 13 else f"{order_id[:4]}…{order_id[-8:]}"


class OrderList:
    """The last 60, newest first; below, how many more there are. `select` gets the id of a clicked order."""

    def __init__(self, select: Callable[[str], None]) -> None:
        self._select = select
        self._rows: dict[str, _Row] = {}
        self._seen: set[str] = set()
        self._shared = {
            "button": widgets.Layout(width="114px", flex="0 0 auto"),
            "steps": widgets.Layout(flex="1 1 auto", min_width="0", width="auto"),
            "style": widgets.ButtonStyle(),
        }
        self._scrolled = widgets.VBox(layout=widgets.Layout(overflow="hidden auto", flex="1 1 auto"))
        self._scrolled.add_class("okc-list")
        gap = widgets.HTML(layout=widgets.Layout(width="120px", flex="0 0 auto"))
        head = widgets.HBox([gap, widgets.HTML(list_head_html(), layout=self._shared["steps"])])
        head.layout = widgets.Layout(flex="0 0 auto", overflow="visible")
        self.foot = widgets.HTML(layout=widgets.Layout(flex="0 0 auto"))
        signs = widgets.HTML(list_signs_html(), layout=widgets.Layout(flex="0 0 auto"))
        self.root = widgets.VBox([head, self._scrolled, signs, self.foot])

    def html_of(self, order_id: str) -> str:
        """What the list shows of an order; empty when it isn't in it."""
        return str(self._rows[order_id].steps.value) if order_id in self._rows else ""

    def click(self, order_id: str) -> None:
        """As a person would."""
        self._rows[order_id].button.click()

    def show(
        self,
        orders: Mapping[str, ConsoleOrder],
        picked: str | None,
        now: datetime,
        tick: bool = False,
        others: int = 0,
    ) -> None:
        """Show what is new; on a tick, also what only time has changed. `others`: orders that were not read."""
        added: list[_Row] = []
        for order_id, order in orders.items():
            row = self._rows.get(order_id)
            if row is None and order_id not in self._seen:
                row = self._new_row(added)
                self._rows[order_id] = row
                self._seen.add(order_id)
                row.root.layout.order = str(-len(self._seen))
            if row is not None and (row.order is not order or (tick and not order.closed)):
                row.show(order, now)
        if added:
            self._scrolled.children = (*self._scrolled.children, *(row.root for row in added))
        self.foot.value = list_foot_html(len(self._rows), len(orders), others)
        for order_id, row in self._rows.items():
            row.pick(order_id == picked)

    def _new_row(self, added: list[_Row]) -> _Row:
        """A new row, or if the list is full, the row of the oldest order, preferably one that has ended."""
        if len(self._rows) < _MOST_ROWS:
            added.append(_Row(self._select, self._shared))
            return added[-1]
        return self._rows.pop(
            next((key for key, row in self._rows.items() if row.order.closed), next(iter(self._rows)))
        )
