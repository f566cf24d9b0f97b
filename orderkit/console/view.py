"""The console's widgets, put together. The view shows the state; the console decides what a click does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import ipywidgets as widgets

from orderkit.console.form import StartForm
from orderkit.console.html import head_html, message_html, workers_html
from orderkit.console.order_list import OrderList
from orderkit.console.order_panel import OrderPanel
from orderkit.console.state import ConsoleState

_HEIGHT = "424px"  # with form and head it fits a notebook at 1280 x 720
_GAP = "0 0 0 10px"


class View:
    """`clicked` gets a name: start-1, start-20, kill, stop, start-worker, approve, reject, cancel or address."""

    def __init__(self, clicked: Callable[[str], None], selected: Callable[[str], None], has_workers: bool) -> None:
        self.head = widgets.HTML()
        self.message = widgets.HTML(layout=widgets.Layout(flex="1 1 200px", min_width="0"))
        self.workers = widgets.HTML(layout=widgets.Layout(flex="0 0 auto"))
        self.worker_buttons = {
            "kill": _worker_button(
                "Kill worker", "bolt", "danger", "SIGKILL to every worker; the supervisor starts new ones"
            ),
            "stop": _worker_button(
                "Stop workers", "stop", "", "stop the workers for good: no worker polls the task queues"
            ),
            "start-worker": _worker_button("Start worker", "play", "", "let one worker run"),
        }
        for name, button in self.worker_buttons.items():
            button.on_click(lambda _, name=name: clicked(name))
        self.form = StartForm(lambda copies: clicked(f"start-{copies}"))
        self.list = OrderList(selected)
        self.panel = OrderPanel(clicked)
        self.list.root.layout = widgets.Layout(width="49%", height=_HEIGHT, min_width="400px", flex="1 1 400px")
        self.panel.root.layout = widgets.Layout(
            width="49%", height=_HEIGHT, min_width="400px", flex="1 1 400px", margin=_GAP
        )
        worker_buttons = list(self.worker_buttons.values()) if has_workers else []
        answer = widgets.HBox(
            [self.message, self.workers, *worker_buttons], layout=widgets.Layout(align_items="center")
        )
        body = widgets.HBox([self.list.root, self.panel.root], layout=widgets.Layout(flex_flow="row wrap"))
        css = widgets.HTML(f"<style>{_css()}</style>", layout=widgets.Layout(display="none"))
        self.root = widgets.VBox([css, self.head, self.form.root, answer, body])
        self.root.add_class("okc")
        self.say("busy", "Reading the orders")

    def say(self, kind: str, text: str) -> None:
        """The last click's answer: good, bad or busy."""
        self.message.value = message_html(kind, text)

    def show(self, state: ConsoleState, now: datetime, busy: frozenset[str], tick: bool = False) -> None:
        """Show the state; what has not changed is not sent."""
        self.head.value = head_html(state)
        self.workers.value = workers_html(state.workers, state.extra_workers)
        self.list.show(state.orders, state.selected, now, tick, state.others)
        self.panel.show(state.selection, now, tick)
        self.lock(busy)

    def lock(self, busy: frozenset[str]) -> None:
        """Lock the buttons whose work is not done."""
        self.panel.lock(busy)
        for button in self.form.buttons:
            button.disabled = any(name.startswith("start-") and name != "start-worker" for name in busy)
        for button in self.worker_buttons.values():
            button.disabled = not busy.isdisjoint(self.worker_buttons)

    def freeze(self) -> None:
        """Lock everything, for good."""
        for button in (*self.form.buttons, *self.panel.buttons.values(), *self.worker_buttons.values()):
            button.disabled = True


def _worker_button(text: str, icon: str, style: str, tooltip: str) -> widgets.Button:
    layout = widgets.Layout(width="auto", flex="0 0 auto")
    return widgets.Button(description=text, icon=icon, button_style=style, tooltip=tooltip, layout=layout)


def _css() -> str:
    return (Path(__file__).parent / "console.css").read_text("utf-8")
