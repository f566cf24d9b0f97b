"""Markdown from what the code says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a pipe in a cell does not end it. On a phone its cells stand one below the other: see site.css."""
    lines = [head, ["---"] * len(head), *rows]
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    classes = " ".join([".stacked", *(f".has-{anchor(name)}" for name in head)])
    return f"{{{classes}}}\n" + "".join(f"| {' | '.join(line)} |\n" for line in cells)


def anchored(text: str, name: str) -> str:
    """Code that can be linked to."""
    return f"[`{text}`]{{#{anchor(name)}}}"


def anchor(name: str) -> str:
    """An HTML id: `trellis_orders.state` is `trellis-orders-state`."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def code(text: str) -> str:
    """Code, or nothing."""
    return f"`{text}`" if text else ""


def sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    text = escaped(" ".join(text.split()))
    starts_with_a_word_of_code = re.match(r"\w+:", text)
    return (text if starts_with_a_word_of_code else text[:1].upper() + text[1:]).rstrip(".") + "." if text else ""


def escaped(text: str) -> str:
    """So that Markdown takes nothing of it for its own, but for `code`."""
    parts = re.split(r"(`[^`]+`)", text)
    parts[::2] = [re.sub(r"([\\*_{}\[\]<>])", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)
