"""The order console: state (no browser needed) and widgets, apart. `open_console` puts them together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orderkit.console.console import Console, open_console

__all__ = ["Console", "open_console"]


def __getattr__(name: str) -> object:
    """Both load late: ipywidgets takes a moment."""
    if name in __all__:
        from orderkit.console import console

        return getattr(console, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
