"""What a notebook imports: `from orderkit.lab import Lab, source`. Both load when they are first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orderkit.lab.display import source
    from orderkit.lab.lab import Lab

__all__ = ["Lab", "source"]


def __getattr__(name: str) -> object:
    """`Lab` and `source`, late."""
    if name == "Lab":
        from orderkit.lab.lab import Lab

        return Lab
    if name == "source":
        from orderkit.lab.display import source

        return source
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
