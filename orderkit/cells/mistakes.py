"""A mistake in a cell: the line, what is wrong with it, and what to write instead."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

_WIDTH = 92  # with the error's name in front of it, what fits in a cell at 1280 pixels


@dataclass(frozen=True, order=True)
class Mistake:
    """`line` is the cell's line; the magic is line 1. 0 if the mistake is in no single line."""

    line: int
    what: str
    instead: str = ""

    def told(self, text: str) -> str:
        """In words, with the line itself."""
        lines = text.splitlines()
        shown = lines[self.line - 1].strip() if 1 < self.line <= len(lines) else ""
        told = [_wrapped(f"line {self.line}: {self.what}" if self.line else self.what)]
        if shown:
            told.append(f"    {shown}")
        if self.instead:
            told.append(textwrap.indent(_wrapped(f"instead: {self.instead}"), "  "))
        return "\n".join(told)


def _wrapped(text: str) -> str:
    """JupyterLab breaks a long line in the middle of a word."""
    return textwrap.fill(text, _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def told(mistakes: Sequence[Mistake], text: str) -> str:
    """All of them, each once, from above."""
    return "\n".join(mistake.told(text) for mistake in sorted(set(mistakes)))
