"""No relative link of the Markdown files, or of a notebook's source, is broken; addresses elsewhere are not asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("**/*.md"))]
BUILT = ROOT / "notebooks"
LESSONS = sorted((BUILT / "src").glob("*.py"))
CODE = re.compile(r"^ *(```|~~~).*?^ *\1|`[^`\n]*`", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(<?([^()<>\s]+)|^ *\[[^]]+\]: +(\S+)|\b(?:src|href)=\"([^\"]+)\"", re.MULTILINE)
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def links_in(markdown: str) -> Iterator[tuple[str, str]]:
    """Each relative link, as (path, anchor); either may be empty."""
    for target in LINK.findall(CODE.sub("", markdown)):
        link = "".join(target)
        if not ELSEWHERE.match(link):
            path, _, anchor = link.partition("#")
            yield path, anchor


def anchors_of(page: Path) -> set[str]:
    """Of its headings, as GitHub makes them: `Run it, now` has the anchor `run-it-now`."""
    headings = re.findall(r"^#+ +(.+?) *$", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.S | re.M), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(markdown: str, page: Path) -> list[str]:
    """The links that lead nowhere from this page."""
    found = []
    for path, anchor in links_in(markdown):
        target = page.parent / path if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors_of(target)):
            found.append(f"{path}#{anchor}" if anchor else path)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    assert broken(page.read_text(), page) == []


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
def test_links_of_a_lesson_lead_somewhere_from_the_notebook_and_from_its_solution(lesson: Path) -> None:
    prose = "".join(re.findall(r"^#(?: (.*\n)|\n)", lesson.read_text(), re.MULTILINE))
    built = (BUILT, BUILT / "solutions")
    folders = [folder for folder in built if (folder / f"{lesson.stem}.ipynb").exists()]
    assert folders
    assert [f"{folder.name}: {link}" for folder in folders for link in broken(prose, folder / lesson.name)] == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page, other = tmp_path / "page.md", tmp_path / "other.md"
    other.write_text("# One, two\n\n```\n# no heading\n```\n")
    text = """
    [fine](other.md) [too](other.md#one-two) [far](https://example.com/nothing) `[code](none.md)` [here](#page)
    [gone](none.md) [moved](other.md#three) ![picture](none.png) <img src="none.svg"> [comment](other.md#no-heading)

    [reference]: none.txt
    """
    page.write_text("# Page\n" + text)
    assert broken(text, page) == [
        "none.md",
        "other.md#three",
        "none.png",
        "none.svg",
        "other.md#no-heading",
        "none.txt",
    ]


def test_pages_and_lessons_are_looked_at() -> None:
    assert len(list(links_in((ROOT / "README.md").read_text()))) > 5
    assert len(PAGES) > 5
    assert len(LESSONS) > 5
