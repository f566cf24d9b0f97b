"""A lesson in another language: the same code, and prose that is as new as the English."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
sys.path.insert(0, str(FOLDER))

from build import compose, prose_of, translated_targets  # noqa: E402
from translations import read_translation, stale, translation_of  # noqa: E402

TARGETS = translated_targets()
SOURCE = FOLDER / "src" / "00_start_here.py"
GERMAN = translation_of(SOURCE, "de")


@pytest.mark.parametrize("target", TARGETS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_only_the_prose_differs(target: Path) -> None:
    source, language = TARGETS[target]
    english, translated = compose(source, solved=False), nbformat.read(target, as_version=4)
    for ours, theirs in zip(english.cells, translated.cells, strict=True):
        assert (ours.id, ours.cell_type, ours.metadata) == (theirs.id, theirs.cell_type, theirs.metadata)
        if ours.cell_type == "code":
            assert ours.source == theirs.source
            assert theirs.outputs == []
        else:
            assert ours.source != theirs.source
            assert code_in(ours.source) >= code_in(theirs.source) - {"review", "charge", "ledger"}
            assert ("<details>" in ours.source) == ("<details>" in theirs.source)
            assert letters(ours.source) == letters(theirs.source)
    assert stale(prose_of(source), read_translation(translation_of(source, language))) == []


def code_in(prose: str) -> set[str]:
    """What is written as code is the same in every language; more of it may be."""
    return set(re.findall(r"`([^`\n]+)`", prose))


def letters(prose: str) -> list[str]:
    """The choices of a question, or the answer."""
    return re.findall(r"(?:^|· )([a-z])\) |\A<details>.*\*\*([a-z])\.\*\*", prose, re.MULTILINE | re.DOTALL)


def test_a_changed_paragraph_makes_its_translation_stale() -> None:
    prose, translation = prose_of(SOURCE), read_translation(GERMAN)
    changed = {("0badc0de" if "Round 2" in text else key): text for key, text in prose.items()}
    [said] = stale(changed, translation)
    assert "is stale: “## Runde 2: Schritt für Schritt”. The English is now: “## Round 2: step by step”" in said
    assert said.endswith("its key: 0badc0de")


def test_new_and_removed_paragraphs_are_named() -> None:
    prose, translation = prose_of(SOURCE), read_translation(GERMAN)
    last = list(prose)[-1]
    assert stale({**prose, "0badc0de": "New text"}, translation) == ["0badc0de has no translation: “New text”"]
    less = {key: text for key, text in prose.items() if key != last}
    assert stale(less, translation) == [f"{last} translates nothing any more: “## Rückblick”"]
    other_order = dict(reversed(translation.items()))
    assert stale(prose, other_order) == ["the pieces are in another order than the English ones"]
