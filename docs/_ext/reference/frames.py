"""The columns of the DataFrames that a lab gives, with `full=True` where it asks for it."""

from __future__ import annotations

from sphinx.pycode import ModuleAnalyzer

from orderkit.analysis import frames, operations
from reference.markup import anchored, code, escaped, table

FRAMES = {
    "attempts": frames.ATTEMPTS,
    "events": frames.EVENTS,
    "timeline": frames.TIMELINE,
    "ledger": frames.LEDGER,
    "failures": operations.FAILURES,
    "logs": operations.LOGS,
    "metrics": operations.METRICS,
}


def markdown() -> str:
    """A heading and a table for each frame."""
    comments = {
        name: text
        for module in (frames, operations)
        for name, text in ModuleAnalyzer.for_module(module.__name__).find_attr_docs().items()
    }
    parts = []
    for name, columns in FRAMES.items():
        about = escaped(" ".join(comments.get(("", name.upper()), [])).strip())
        rows = [[anchored(column, f"frame {name} {column}"), code(dtype)] for column, dtype in columns.items()]
        parts.append(f"### {name}\n\n{about[:1].upper()}{about[1:]}.\n\n{table(['column', 'dtype'], rows)}")
    return "\n\n".join(parts)
