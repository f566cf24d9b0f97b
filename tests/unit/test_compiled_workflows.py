"""A worker compiles each workflow module once, however often the sandbox loads it."""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

from orderkit.worker.sandbox import keep_compiled


def test_a_module_that_is_loaded_again_is_not_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    source_to_code = SourceFileLoader.source_to_code

    def counting(self: SourceFileLoader, data: bytes, path: str) -> object:
        compiled.append(Path(path).stem)
        return source_to_code(self, data, path)

    monkeypatch.setattr(SourceFileLoader, "source_to_code", counting)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "kept_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "flow.py").write_text("loaded = []\n")

    def load() -> object:
        sys.modules.pop("kept_package.flow", None)
        return importlib.import_module("kept_package.flow")

    assert load() is not load()
    assert compiled.count("flow") == 2
    keep_compiled("kept_package")
    first, second = load(), load()
    assert first is not second  # each load is a module of its own
    assert vars(first)["loaded"] is not vars(second)["loaded"]
    assert compiled.count("flow") == 3
