"""What a built page of the documentation site has in it: anchors, links, pictures, and the rows of its tables."""

from __future__ import annotations

import re
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Page(HTMLParser):
    """Reads one page.

    `rows` has for each anchor in a table the texts of its row's cells, `entries` for each anchor of a definition list
    the text of its definition.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []  # what a browser fetches by itself
        self.pictures: list[tuple[str, str]] = []  # address and alternative text
        self.rows: dict[str, list[str]] = {}
        self.entries: dict[str, str] = defaultdict(str)
        self._row: list[str] | None = None
        self._row_anchors: list[str] = []
        self._terms: list[list[str]] = []  # of each open definition list, the anchors of its last terms
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        about = {name: value or "" for name, value in attrs}
        if anchor := about.get("id"):
            self.anchors.add(anchor)
            self._row_anchors.append(anchor)
        if tag == "a" and "href" in about:
            self.links.append(about["href"])
        if tag == "img":
            self.pictures.append((about.get("src", ""), about.get("alt", "")))
        if tag in ("img", "script", "iframe") and "src" in about:
            self.loads.append(about["src"])
        if tag == "link" and about.get("rel") in ("stylesheet", "icon", "preload"):
            self.loads.append(about["href"])
        if tag == "tr":
            self._row, self._row_anchors = [], []
        if tag == "td" and self._row is not None:
            self._row.append("")
        if tag == "dl":
            self._terms.append([])
        if tag == "dt" and self._terms:
            if self._open[-1:] == ["dd"] or not anchor:
                self._terms[-1] = []
            self._terms[-1] = [anchor] if anchor else []
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass
        if tag == "tr" and self._row is not None:
            self.rows |= {anchor: [cell.strip() for cell in self._row] for anchor in self._row_anchors}
            self._row = None
        if tag == "dl" and self._terms:
            self._terms.pop()

    def handle_data(self, data: str) -> None:
        if self._row and "td" in self._open:
            self._row[-1] += data
        if self._terms and "dd" in self._open and "dt" not in self._open[self._open.index("dd") :]:
            for anchor in self._terms[-1]:
                self.entries[anchor] += data.strip()


def read_site(folder: Path) -> dict[Path, Page]:
    """Each page of a built site."""
    return {path: Page(path.read_text()) for path in sorted(folder.rglob("*.html"))}


def broken(site: dict[Path, Page], page: Path) -> list[str]:
    """The links of a page, and what it loads, that lead nowhere within the site."""
    found = []
    for link in [*site[page].links, *site[page].loads]:
        if ELSEWHERE.match(link):
            continue
        path, anchor = urldefrag(link)
        path = path.partition("?")[0]
        target = (page.parent / unquote(path)).resolve() if path else page
        lacks = target in site and anchor and unquote(anchor) not in site[target].anchors
        if not target.is_file() or lacks:
            found.append(link)
    return found
