"""What `orderkit lab` puts into a learner's folder."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from orderkit.errors import LabError
from orderkit.stack import jupyter
from orderkit.stack.jupyter import lay_notebooks, shipped_notebooks


def test_learners_copies_have_every_lesson_and_no_output(tmp_path: Path) -> None:
    folder, laid = lay_notebooks(tmp_path)
    shipped = sorted(shipped_notebooks().glob("*.ipynb"))
    assert folder == tmp_path / "notebooks"
    assert laid == [path.name for path in shipped]
    for path in shipped:
        copy, original = (nbformat.read(each, as_version=4) for each in (folder / path.name, path))
        nbformat.validate(copy)
        assert [cell.source for cell in copy.cells] == [cell.source for cell in original.cells]
        code = [cell for cell in copy.cells if cell.cell_type == "code"]
        assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
        assert any(cell.get("outputs") for cell in original.cells)


def test_a_copy_is_never_overwritten(tmp_path: Path) -> None:
    folder, laid = lay_notebooks(tmp_path)
    (folder / laid[0]).write_text("mine")
    (folder / laid[1]).unlink()
    assert lay_notebooks(tmp_path) == (folder, [laid[1]])
    assert (folder / laid[0]).read_text() == "mine"


def test_the_repositorys_own_notebooks_keep_their_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = tmp_path / "notebooks"
    shipped.mkdir()
    original = shipped_notebooks() / jupyter.FIRST_NOTEBOOK
    (shipped / jupyter.FIRST_NOTEBOOK).write_bytes(original.read_bytes())
    monkeypatch.setattr(jupyter, "shipped_notebooks", lambda: shipped)
    folder, laid = lay_notebooks(tmp_path)
    assert folder == tmp_path / "lessons"
    assert laid == [jupyter.FIRST_NOTEBOOK]
    assert (shipped / jupyter.FIRST_NOTEBOOK).read_bytes() == original.read_bytes()


def test_another_language_has_a_folder_of_its_own(tmp_path: Path) -> None:
    folder, laid = lay_notebooks(tmp_path, "de")
    assert folder == tmp_path / "notebooks-de"
    assert laid == [path.name for path in sorted(shipped_notebooks().glob("*.ipynb"))]
    assert "# 00 · Hier geht es los" in (folder / laid[0]).read_text("utf-8")
    assert "# 01 · " in (folder / laid[1]).read_text("utf-8")
    with pytest.raises(LabError, match="no lessons in the language eo; there are: en, de"):
        lay_notebooks(tmp_path, "eo")
