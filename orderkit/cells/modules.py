"""The learner's modules as they were when their worker started: a file that changes later changes nothing there."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType


class KeptModules(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):  # type: ignore[misc] # as Python has it
    """Imports the modules of a folder from memory. Temporal's sandbox imports them again for every workflow."""

    def __init__(self, folder: Path, name: str, text: str) -> None:
        self._folder = folder
        self._texts = {path.stem: path.read_text() for path in folder.glob("*.py")} | {name: text}

    def install(self) -> None:
        """From now on, in this process."""
        sys.meta_path.insert(0, self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Called by Python."""
        if path is not None or fullname not in self._texts:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=self.get_filename(fullname))

    def get_filename(self, fullname: str) -> str:
        """Called by Python."""
        return str(self._folder / f"{fullname}.py")

    def get_data(self, path: str | Path) -> bytes:
        """Called by Python."""
        return self._texts[Path(path).stem].encode()
