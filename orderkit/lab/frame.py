"""A DataFrame that reads well on a projector."""

from __future__ import annotations

from html import escape

import pandas as pd

from orderkit.analysis.palette import SIGNS

_MOST_ROWS = 60
_CELL = "text-align:left;padding:.25em 1em .25em 0"


class Table(pd.DataFrame):
    """An ordinary DataFrame to compute with; shown without its index, to the left, whole, and large."""

    @property
    def _constructor(self) -> type[Table]:
        return Table

    def __repr__(self) -> str:
        with pd.option_context("display.max_colwidth", None):
            return self.head(_MOST_ROWS).to_string(index=False) + self._more() if len(self) else "nothing yet"

    def _repr_html_(self) -> str:
        head = "".join(f'<th style="{_CELL}">{escape(str(name))}</th>' for name in self.columns)
        rows = (
            "".join(f'<td style="{_CELL}">{_shown(cell)}</td>' for cell in row)
            for row in self.head(_MOST_ROWS).itertuples(index=False)
        )
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        table = f'<table style="font-size:115%"><tr>{head}</tr>{body}</table>'
        return f"{table}{escape(self._more())}" if len(self) else "<p>nothing yet</p>"

    def _more(self) -> str:
        return f"\n… and {len(self) - _MOST_ROWS} more rows" if len(self) > _MOST_ROWS else ""


def _shown(cell: object) -> str:
    """Outcomes get their sign, so that they are told apart from afar."""
    text = escape(str(cell))
    return f"{SIGNS[text]}&nbsp;{text}" if text in SIGNS else text
