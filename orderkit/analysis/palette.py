"""The colours and signs of outcomes, for charts, console and notebooks; needs no matplotlib.

Okabe and Ito's palette, made for colour-blind people (jfly.uni-koeln.de/color). A colour never says it alone.
"""

from __future__ import annotations

from orderkit.core.events import AttemptState
from orderkit.core.orders import OrderState

GREEN, VERMILLION, ORANGE, PURPLE, BLUE, SKY, BLACK = (
    "#009E73",
    "#D55E00",
    "#E69F00",
    "#CC79A7",
    "#0072B2",
    "#56B4E9",
    "#222222",
)
GREY = "#8A8A8A"
OPEN = "open"  # in the place of a state: an order that has not ended

# In the order of legends and stacks.
ATTEMPT_COLOURS: dict[str, str] = {
    AttemptState.COMPLETED.value: GREEN,
    AttemptState.FAILED.value: VERMILLION,
    AttemptState.TIMED_OUT.value: ORANGE,
    AttemptState.CANCELLED.value: PURPLE,
    AttemptState.LOST.value: BLACK,
    AttemptState.RUNNING.value: SKY,
}
ORDER_COLOURS: dict[str, str] = {
    OrderState.SHIPPED.value: GREEN,
    OrderState.CANCELLED.value: PURPLE,
    OrderState.REJECTED.value: BLUE,
    OrderState.FAILED.value: VERMILLION,
    OPEN: SKY,
}
# The same, darkened for white letters on them.
BADGE_COLOURS: dict[str, str] = {
    OrderState.SHIPPED.value: "#00765A",
    OrderState.CANCELLED.value: "#9A4F7A",
    OrderState.REJECTED.value: BLUE,
    OrderState.FAILED.value: "#B04A00",
    OPEN: "#4A4A4A",
}
GOOD, BAD = BADGE_COLOURS["shipped"], BADGE_COLOURS["failed"]
WAITING = BLUE
# Signs that every system has in a plain font.
SIGNS: dict[str, str] = {
    AttemptState.COMPLETED.value: "✔",
    AttemptState.FAILED.value: "✖",
    AttemptState.TIMED_OUT.value: "◷",
    AttemptState.CANCELLED.value: "⊘",
    AttemptState.LOST.value: "☠",
    AttemptState.RUNNING.value: "…",
}
_DARK_GROUNDS = frozenset({BLACK, BLUE})


def ink_on(ground: str) -> str:
    """Letters that can be read on it: a contrast of 5 to 1 at least."""
    return "#fff" if ground in _DARK_GROUNDS else "#111"
