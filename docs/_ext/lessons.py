"""What the site changes in a notebook: charts get words, solutions say that they are some, and buttons are left out."""

from __future__ import annotations

import inspect
import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform

from orderkit.analysis import charts as functions
from orderkit.lab.charts import Charts

BUTTONS = "predictions."  # without a kernel they remember nothing
DRAWN = re.compile(r"charts\.(\w+)\((.*?)\)|^(\w+)\(.*\)$", re.MULTILINE)


class NameSolutions(SphinxTransform):
    """A lesson and its solution have the same title; a search finds both."""

    default_priority = 800  # before the event doctree-read, which collects titles

    def apply(self, **_: Any) -> None:
        """To the page at hand."""
        if self.env.docname.startswith("notebooks/solutions/"):
            next(self.document.findall(nodes.title)).append(nodes.Text(" (solved)"))


class Describe(SphinxPostTransform):
    """Gives every picture that a cell has made its alternative text, for those who do not see it."""

    default_priority = 400

    def run(self, **_: Any) -> None:
        """Of the page at hand."""
        cells = self.document.findall(
            lambda node: "cell" in node.get("classes", []) if isinstance(node, nodes.Element) else False
        )
        for cell in list(cells):
            code = "\n".join(block.astext() for block in cell.findall(nodes.literal_block))
            if code.startswith(BUTTONS):
                cell.parent.remove(cell)
                continue
            for image in cell.findall(nodes.image):
                image["alt"] = describe(code)


def describe(code: str) -> str:
    """`Chart of pot: one order, step by step …`, from `lab.charts.timeline("pot")` and that method's docstring."""
    for method, orders, function in DRAWN.findall(code):
        drawn = getattr(Charts, method, None) or getattr(functions, function or " ", None)
        if drawn is not None and drawn.__doc__:
            about = (inspect.getdoc(drawn) or "").splitlines()[0].rstrip(".")
            of = re.sub(r"[\"'*]", "", orders)
            what = f"Chart of {of}" if of else "Chart"
            return f"{what}: {about[0].lower()}{about[1:]}. The tables of this page have the numbers."
    return ""


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_transform(NameSolutions)
    app.add_post_transform(Describe)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
