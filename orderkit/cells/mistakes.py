"""A mistake in a cell: the line, what is wrong with it, and what to write instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Mistake:
    """`line` is that of the cell, whose first line is the magic's; 0 where no line is to blame."""

    line: int
    what: str
    instead: str = ""

    def told(self, text: str) -> str:
        """In words, with the line itself."""
        lines = text.splitlines()
        shown = lines[self.line - 1].strip() if 1 < self.line <= len(lines) else ""
        told = f"line {self.line}: {self.what}" if self.line else self.what
        told += f"\n    {shown}" if shown else ""
        return told + (f"\n  instead: {self.instead}" if self.instead else "")


def told(mistakes: Sequence[Mistake], text: str) -> str:
    """All of them, each once, from above."""
    return "\n".join(mistake.told(text) for mistake in sorted(set(mistakes)))
