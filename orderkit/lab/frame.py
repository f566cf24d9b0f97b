"""A DataFrame that reads well on a projector."""

from __future__ import annotations

import pandas as pd

from orderkit.analysis.frames import Frame, with_two_digits
from orderkit.analysis.markup import escape
from orderkit.analysis.palette import SIGNS

_MOST_ROWS = 60
_CELL = "text-align:left;padding:.25em 1em .25em 0"


class Table(Frame):
    """An ordinary DataFrame to compute with; shown to the left, whole, and large.

    Its index is shown where it says something: it has a name, or is not of plain numbers.
    """

    def __repr__(self) -> str:
        if not len(self):
            return "nothing yet"
        with pd.option_context("display.max_colwidth", None):
            return self._shown().to_string(index=False) + self._more()

    def _repr_html_(self) -> str:
        if not len(self):
            return "<p>nothing yet</p>"
        shown = self._shown()
        head = "".join(f'<th style="{_CELL}">{escape(str(name))}</th>' for name in shown.columns)
        rows = (
            "".join(f'<td style="{_CELL}">{_cell(cell)}</td>' for cell in row) for row in shown.itertuples(index=False)
        )
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f'<table style="font-size:115%"><tr>{head}</tr>{body}</table>{escape(self._more())}'

    def _shown(self) -> pd.DataFrame:
        """The first rows, with the index as columns where it says something."""
        shown = with_two_digits(self.head(_MOST_ROWS))
        shown.columns = pd.Index([_heading(name) for name in shown.columns])
        names = list(shown.index.names)
        if any(name is not None for name in names) or not pd.api.types.is_integer_dtype(shown.index.dtype):
            headings = [_heading(name) if name is not None else "" for name in names]
            shown = shown.reset_index(names=headings, allow_duplicates=True)
        return shown

    def _more(self) -> str:
        return f"\n… and {len(self) - _MOST_ROWS} more rows" if len(self) > _MOST_ROWS else ""


def _heading(name: object) -> str:
    """A column's name; of a pivoted frame, all its levels."""
    return " ".join(str(part) for part in name if part != "") if isinstance(name, tuple) else str(name)


def _cell(cell: object) -> str:
    """Outcomes get their sign, so that people can tell them apart from far away."""
    text = escape(str(cell))
    return f"{SIGNS[text]}&nbsp;{text}" if text in SIGNS else text
