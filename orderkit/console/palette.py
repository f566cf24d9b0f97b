"""Colours and signs. The same as the charts' (orderkit/analysis/style.py, which takes a second to import)."""

from __future__ import annotations

ATTEMPT_COLOURS = {
    "completed": "#009E73",
    "failed": "#D55E00",
    "timed_out": "#E69F00",
    "cancelled": "#CC79A7",
    "lost": "#222222",
    "running": "#56B4E9",
}
ORDER_COLOURS = {
    "shipped": "#009E73",
    "cancelled": "#CC79A7",
    "rejected": "#0072B2",
    "failed": "#D55E00",
    "open": "#56B4E9",
}
# A colour never says it alone. Signs that every system has in a plain font.
SIGNS = {"completed": "✔", "failed": "✖", "timed_out": "◷", "cancelled": "⊘", "lost": "☠", "running": "…"}
WAITING = "#0072B2"
_DARK_GROUNDS = frozenset({"#222222", "#0072B2"})


def ink_on(ground: str) -> str:
    """Letters that can be read on it: a contrast of 5 to 1 at least."""
    return "#fff" if ground in _DARK_GROUNDS else "#111"
