"""The documentation site: `make docs` builds it from the repository's root, since pages are in docs/ and notebooks/.

Nothing is fetched and no notebook is executed. The reference is made from the code at each build: see docs/_ext.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from orderkit import __version__

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs" / "_ext"))

for name in [name for name in os.environ if name.startswith("ORDERKIT_")]:
    del os.environ[name]  # what this machine's orderkit is told is no part of the site
logging.getLogger("orderkit.store.migrations").propagate = False  # a migration that is applied is no news here

project = "orderkit"
author = "The orderkit authors"
copyright = author
version = release = __version__
root_doc = "docs/index"
include_patterns = ["docs/**.md", "notebooks/*.ipynb", "notebooks/solutions/*.ipynb", "*.md"]
# Folders that are not looked through; some are large, and a lab's are not ours to read.
exclude_patterns = [".*", "**/.*", "build", "dist", "orderkit", "sql", "tests", "notebooks/src"]

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "sphinx_design",
    "reference",
    "source_pages",
    "lessons",
]
nitpicky = True
# The documents of other projects are not fetched: a build needs no network.
nitpick_ignore_regex = [("py:.*", r"(?!orderkit\.lab\.|orderkit\.errors\.).*")]

nb_render_error_lexer = "text"  # an error of the lab is a sentence
nb_execution_mode = "off"
myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

autodoc_member_order = "bysource"
default_role = "code"  # docstrings write `code` as Markdown does
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "orderkit"
html_short_title = "orderkit"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
templates_path = ["_templates"]
html_additional_pages = {"index": "start.html"}
html_copy_source = False
html_domain_indices = False
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0F5E9C", "color-brand-content": "#0F5E9C"},
    "dark_css_variables": {"color-brand-primary": "#7CC0F5", "color-brand-content": "#7CC0F5"},
    "footer_icons": [],
}
copybutton_exclude = ".linenos, .gp, .go"
copybutton_prompt_text = "$ "


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-signature", _without_constructor)
    app.connect("autodoc-process-docstring", _without_module)
    app.connect("html-page-context", _with_levels, priority=900)  # after furo


def _without_constructor(_: Sphinx, what: str, *about: object) -> tuple[str, None] | None:
    """Nobody constructs what `Lab` returns."""
    return ("", None) if what == "class" else None


def _without_module(_: Sphinx, what: str, name: str, about: object, options: object, lines: list[str]) -> None:
    """A page has its own introduction."""
    if what == "module":
        lines.clear()


def _with_levels(_: Sphinx, page: str, template: str, context: dict[str, Any], tree: object) -> None:
    """Sphinx makes headings of the captions in a table of contents, and does not say of which level."""
    for part in ("body", "furo_navigation_tree"):
        if context.get(part):
            context[part] = context[part].replace('role="heading">', 'role="heading" aria-level="2">')
