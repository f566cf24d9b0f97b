"""The start form, as widgets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import ipywidgets as widgets

from orderkit.console.commands import Start, next_ids, start_commands
from orderkit.core.faults import Scenario
from orderkit.core.orders import MAX_DEADLINE_SECONDS, MIN_DEADLINE_SECONDS, Review
from orderkit.core.policies import DEFAULT_DEADLINE_SECONDS, PolicyName

MANY = 20
_FIRST_ID = "demo-1"


class StartForm:
    """`start` gets how many orders to start when a button is clicked; `commands` then reads the fields."""

    def __init__(self, start: Callable[[int], None]) -> None:
        self.order_id = widgets.Text(_FIRST_ID, layout=_wide("110px"))
        self.policy = widgets.Dropdown(options=[name.value for name in PolicyName], layout=_wide("86px"))
        self.scenario = widgets.Dropdown(options=[name.value for name in Scenario], layout=_wide("98px"))
        self.script = widgets.Text(placeholder="charge=error,hang,ok", layout=_wide("auto", "1 1 120px"))
        self.seed = widgets.BoundedIntText(0, min=0, max=2**53, layout=_wide("64px"))
        self.review = widgets.Dropdown(options=[name.value for name in Review], layout=_wide("82px"))
        self.deadline = widgets.BoundedFloatText(
            DEFAULT_DEADLINE_SECONDS, min=MIN_DEADLINE_SECONDS, max=MAX_DEADLINE_SECONDS, layout=_wide("80px")
        )
        self.start_one = widgets.Button(description="Start", button_style="primary", layout=_wide("70px"))
        self.start_many = widgets.Button(description=f"Start {MANY}", layout=_wide("76px"))
        self.start_one.on_click(lambda _: start(1))
        self.start_many.on_click(lambda _: start(MANY))
        fields = [
            _field("order id", self.order_id),
            _field("policy", self.policy),
            _field("faults", self.scenario),
            _field("or a script", self.script),
            _field("seed", self.seed),
            _field("review", self.review),
            _field("deadline, s", self.deadline),
            self.start_one,
            self.start_many,
        ]
        self.root = widgets.HBox(fields, layout=widgets.Layout(flex_flow="row wrap", align_items="flex-end"))

    @property
    def buttons(self) -> tuple[widgets.Button, ...]:
        """What is locked while orders are being started."""
        return self.start_one, self.start_many

    def commands(self, taken: Iterable[str], copies: int) -> list[Start]:
        """What the fields ask for; raises InvalidOrder or InvalidFaultPlan."""
        base = self.order_id.value.strip()
        return start_commands(
            [base] if copies == 1 else next_ids(base, taken, copies),
            policy=self.policy.value,
            scenario=self.scenario.value,
            script=self.script.value,
            seed=self.seed.value,
            review=self.review.value,
            deadline_seconds=self.deadline.value,
        )

    @property
    def stem(self) -> str:
        """What the ids of the form's orders begin with."""
        return re.sub(r"-\d{1,9}$", "", self.order_id.value.strip())

    def propose_id(self, taken: Iterable[str]) -> None:
        """Put a free id into the field, when the one there is taken."""
        free = next_ids(self.order_id.value.strip() or _FIRST_ID, taken)
        if self.order_id.value.strip() != free[0]:
            self.order_id.value = free[0]


def _wide(width: str, flex: str = "0 0 auto") -> widgets.Layout:
    return widgets.Layout(width=width, flex=flex, min_width="0")


def _field(name: str, widget: widgets.DescriptionWidget) -> widgets.DescriptionWidget:
    """With its name above it; a label of the widget's own, so that a screen reader says it, too."""
    widget.description = name
    widget.style.description_width = "auto"
    widget.add_class("okc-field")
    return widget
