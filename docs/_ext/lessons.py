"""What the site changes in a notebook: charts get words, solutions say that they are some, and buttons are left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform

BUTTONS = "predictions."  # without a kernel they remember nothing
PICTURE = "image/png"


class NameSolutions(SphinxTransform):
    """A lesson and its solution have the same title; a search finds both."""

    default_priority = 800  # before the event doctree-read, which collects titles

    def apply(self, **_: Any) -> None:
        """To the page at hand."""
        if self.env.docname.startswith("notebooks/solutions/"):
            next(self.document.findall(nodes.title)).append(nodes.Text(" (solved)"))


class Describe(SphinxPostTransform):
    """Gives each picture that a cell has made the words that the chart said of itself; leaves the buttons out."""

    default_priority = 400

    def run(self, **_: Any) -> None:
        """Of the page at hand."""
        if not self.env.docname.startswith("notebooks/"):
            return
        words = alternatives(Path(self.env.doc2path(self.env.docname)))
        cells = self.document.findall(
            lambda node: "cell" in node.get("classes", []) if isinstance(node, nodes.Element) else False
        )
        for cell in list(cells):
            if next(cell.findall(nodes.literal_block), nodes.Text("")).astext().startswith(BUTTONS):
                cell.parent.remove(cell)
                continue
            for image, said in zip(cell.findall(nodes.image), words, strict=False):
                image["alt"] = said


def alternatives(notebook: Path) -> Iterator[str]:
    """What each stored picture says of itself, in order."""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            if PICTURE in output.get("data", {}):
                yield output["metadata"].get(PICTURE, {}).get("alt", "")


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_transform(NameSolutions)
    app.add_post_transform(Describe)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
