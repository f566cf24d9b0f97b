"""A link from a page to a file of the repository leads to a page with that file, in colours: no network, no download.

On GitHub the same link shows the file itself.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from pygments.lexers import get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform

FOLDER = "source"


class LinkToSource(SphinxTransform):
    """Before Sphinx would copy the file as a download."""

    default_priority = 800  # before the event doctree-read, which collects downloads

    def apply(self, **_: Any) -> None:
        """Point each such link to the file's page."""
        here = posixpath.dirname(self.env.docname)
        for node in list(self.document.findall(addnodes.download_reference)):
            path = posixpath.normpath(posixpath.join(here, node["reftarget"]))
            _linked(self.env).setdefault(self.env.docname, set()).add(path)
            link = nodes.reference(
                "", "", internal=True, refuri=posixpath.relpath(f"{FOLDER}/{path}.html", here or ".")
            )
            link += node.children
            node.replace_self(link)


def _linked(env: BuildEnvironment) -> dict[str, set[str]]:
    """The files that each page links to."""
    if not hasattr(env, "linked_sources"):
        env.linked_sources = {}  # type: ignore[attr-defined]
    found: dict[str, set[str]] = env.linked_sources  # type: ignore[attr-defined]
    return found


def _pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    for path in sorted(set().union(*_linked(app.env).values())):
        text = Path(app.srcdir, path).read_text()
        try:
            language = get_lexer_for_filename(path).aliases[0]
        except ClassNotFound:
            language = "bash" if text.startswith("#!") else "text"
        shown = app.builder.highlighter.highlight_block(text, language, linenos=False)  # type: ignore[attr-defined]
        yield f"{FOLDER}/{path}", {"title": path, "body": f"<h1>{path}</h1>{shown}"}, "page.html"


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_transform(LinkToSource)
    app.connect("html-collect-pages", _pages)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
