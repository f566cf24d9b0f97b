"""The directive `{reference} NAME`: a part of a page that is made from the code at each build, so it is never stale."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from reference import commands, frames, rest, settings, tables, words

# Each returns Markdown.
PARTS: dict[str, Callable[[], str]] = {
    "settings": settings.markdown,
    "commands": commands.markdown,
    "frames": frames.markdown,
    "rest": rest.markdown,
    "tables": tables.markdown,
    "events": words.events_markdown,
    "words": words.markdown,
}


class Reference(SphinxDirective):
    """Renders one of PARTS where it stands."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        """The part's nodes; a part may have headings."""
        name = self.arguments[0]
        if name not in PARTS:
            raise ExtensionError(f"there is no reference {name!r}; there is {', '.join(PARTS)}")
        return self.parse_text_to_nodes(PARTS[name](), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("reference", Reference)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
