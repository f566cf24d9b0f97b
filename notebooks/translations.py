"""A lesson's prose in another language: src/de/00_start_here.md, beside src/00_start_here.py, which keeps the code.

Above each translated piece of prose stands a comment with its key: `<!-- 1f0ac9e3 -->`, the id of the English cell,
which is made from its text. So who changes the English text changes the key, and `build.py --check` says which
translation is stale.
"""

from __future__ import annotations

import re
from itertools import zip_longest
from pathlib import Path

FOLDER = Path(__file__).parent
LANGUAGES = {"de": "Erklärung"}  # with the word on a folded explanation
KEY = re.compile(r"^<!-- ([0-9a-f]{8}(?:-\d+)?) -->\n", re.MULTILINE)


def translation_of(source: Path, language: str) -> Path:
    """Where it is, if it is."""
    return source.parent / language / f"{source.stem}.md"


def read_translation(path: Path) -> dict[str, str]:
    """Prose by the key of the English one."""
    _, *pieces = KEY.split(path.read_text(encoding="utf-8"))
    return {key: text.strip() for key, text in zip(pieces[::2], pieces[1::2], strict=True)}


def stale(prose: dict[str, str], translation: dict[str, str]) -> list[str]:
    """What is wrong with a translation: of prose that has changed, that is new, or that is gone. `prose`: by key."""
    found = []
    new = [key for key in prose if key not in translation]
    gone = [key for key in translation if key not in prose]
    for key, old in zip_longest(new, gone):
        if old is None:
            found.append(f"{key} has no translation: {_begin(prose[key])}")
        elif key is None:
            found.append(f"{old} translates nothing any more: {_begin(translation[old])}")
        else:
            found.append(
                f"{old} is stale: {_begin(translation[old])}. The English is now: {_begin(prose[key])}. "
                f"Mend the translation, then its key: {key}"
            )
    if not found and list(prose) != list(translation):
        found.append("the pieces are in another order than the English ones")
    return found


def _begin(text: str) -> str:
    line = next((line for line in text.splitlines() if line and not line.startswith("<")), "")
    return f"“{line[:60]}{' …' if len(line) > 60 else ''}”"
