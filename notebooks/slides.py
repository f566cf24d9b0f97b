"""Makes slides of lessons, with their stored outputs: build/slides/00_start_here.html. Needs no network.

    python notebooks/slides.py [NN …]     only lessons that begin with NN

Which cell begins a slide, build.py has written into the notebooks; nbconvert makes the page, and reveal.js shows it.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import sphinx_revealjs
from nbconvert.exporters import SlidesExporter
from traitlets.config import Config

FOLDER = Path(__file__).parent
MADE = FOLDER.parent / "build" / "slides"
REVEAL = Path(sphinx_revealjs.__file__).parent / "_static" / "revealjs"


def make(notebook: Path, folder: Path) -> Path:
    """The slides of one notebook, with reveal.js beside them."""
    settings = Config()
    settings.SlidesExporter.reveal_url_prefix = "reveal"
    settings.SlidesExporter.reveal_theme = "white"  # brings its fonts along
    exporter = SlidesExporter(config=settings, template_name="lesson_slides", extra_template_basedirs=[str(FOLDER)])
    page, _ = exporter.from_filename(str(notebook))
    page = page.replace("<details>", "<details open>")  # an explanation comes with the next key, and is open then
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(REVEAL, folder / "reveal", dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.map", "*.mjs"))
    made = folder / f"{notebook.stem}.html"
    made.write_text(page, encoding="utf-8")
    return made


def main() -> None:
    """See the module's docstring."""
    for notebook in sorted(FOLDER.glob("[0-9][0-9]_*.ipynb")):
        if re.match("|".join(sys.argv[1:]), notebook.name):
            print(make(notebook, MADE).relative_to(Path.cwd()))


if __name__ == "__main__":
    main()
