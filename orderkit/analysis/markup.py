"""Text for HTML that a notebook shows: escaped, and never typeset as a formula."""

from __future__ import annotations

import html
import re

_MATHS = re.compile(r"[$\\]")  # JupyterLab typesets $…$, \(…\) and \begin{…}


def escape(text: str) -> str:
    """The unchanged text; an element of its own keeps MathJax from taking a dollar sign or a backslash for maths.

    For what stands between tags; inside of an attribute, `html.escape` is enough.
    """
    return unformulated(html.escape(text))


def unformulated(markup: str) -> str:
    """HTML that has no such sign inside of a tag, with each of them in an element of its own."""
    return _MATHS.sub(lambda sign: f"<span>{sign[0]}</span>", markup)
