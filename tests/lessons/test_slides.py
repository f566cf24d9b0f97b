"""A lesson as slides: a slide for each heading, what is run below it, and nothing from the network."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nbformat
import pytest
from support.site import ELSEWHERE, Page

FOLDER = Path(__file__).parents[2] / "notebooks"
sys.path.insert(0, str(FOLDER))

from slides import make  # noqa: E402

LESSON = FOLDER / "00_start_here.ipynb"
PARTS = [cell.metadata.get("slideshow", {}).get("slide_type") for cell in nbformat.read(LESSON, as_version=4).cells]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(LESSON, tmp_path_factory.mktemp("slides"))


def test_each_heading_is_a_slide_with_its_steps_below(page: Path) -> None:
    cells = nbformat.read(LESSON, as_version=4).cells
    headings = [cell for cell in cells if cell.cell_type == "markdown" and re.match("##? ", cell.source)]
    assert PARTS.count("slide") == len(headings) == 9
    text = page.read_text()
    # nbconvert wraps each slide's parts in one more section.
    assert text.count("<section") == 2 * PARTS.count("slide") + PARTS.count("subslide")
    assert text.count('class="fragment"') == PARTS.count("fragment") == 5
    assert text.count("<details open>") == 5
    assert "predictions." not in re.sub(r"<[^>]+>", "", text).replace("lessons.predictions", "")


def test_slides_need_no_network_and_their_pictures_have_words(page: Path) -> None:
    read = Page(page.read_text())
    assert [address for address in read.loads if ELSEWHERE.match(address) and not address.startswith("data:")] == []
    own = [address for address in read.loads if not address.startswith("data:")]
    assert "reveal/dist/reveal.js" in own
    assert [address for address in own if not (page.parent / address).is_file()] == []
    assert "url(http" not in (page.parent / "reveal/dist/theme/white.css").read_text()
    assert [alt.partition(",")[0] for _, alt in read.pictures] == ["Order tea", "Order pot"]
