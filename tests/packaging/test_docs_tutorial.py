"""docs/how-to/notebooks-as-tests.md as a reader follows it, in an empty folder: files, commands, what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orderkit.stack.lifecycle import down, up

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "notebooks-as-tests.md").read_text()
# A fenced block; a file's text has the file's name above it.
BLOCK = re.compile(r"(?:^\*\*`(\S+)`\*\*\n\n)?^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
TUTORIAL, REST = PAGE.split("\n## What nbval compares\n")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Empty but for a lab that has chosen its ports: free ones, not those that other tests look for."""
    try:
        up(tmp_path / ".orderkit", preferred={})
        yield tmp_path
    finally:
        down(tmp_path / ".orderkit")


def terminal(home: Path) -> dict[str, str]:
    """The environment of somebody with nothing set, who has installed no more than what the page says."""
    return {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_PLUGINS": "nbval.plugin",
    }


def lasting(said: str) -> str:
    """Without what differs from run to run: durations, how much a difference leaves out, blanks at a line's end."""
    return re.sub(r"in \d+\.\d+s|Skipping \d+| +$", "", said, flags=re.MULTILINE)


@pytest.mark.timeout(300)  # a lab and three kernels: 27 s of processor time, several times that on a busy machine
def test_the_tutorial_works_as_it_is_written(folder: Path) -> None:
    said = None
    for name, kind, text in BLOCK.findall(TUTORIAL):
        if name:
            (folder / name).write_text(text)
        elif kind == "sh":
            assert not said, f"the page does not show what was said: {said}"
            wanted = re.search(r"# exit status (\d)", text)
            done = subprocess.run(
                ["bash", "-euc", text], cwd=folder, env=terminal(folder), capture_output=True, text=True
            )
            assert done.returncode == int(wanted[1] if wanted else 0), f"{text}\n{done.stdout}\n{done.stderr}"
            said = done.stdout
        elif kind == "text":
            assert lasting(said or "") == lasting(text)
            said = None
        else:
            assert kind == "console"  # needs the network: not run
    assert not said
    assert {path.name for path in folder.glob("*.ipynb")} == {"first_order.ipynb"}


def test_excerpts_are_what_stands_in_the_files() -> None:
    excerpts = [(name, text) for name, _, text in BLOCK.findall(REST) if name]
    assert len(excerpts) >= 3
    for name, text in excerpts:
        assert text in (ROOT / name).read_text(), f"{name} no longer has this:\n{text}"
    assert {kind for name, kind, _ in BLOCK.findall(REST) if not name} <= {"console", "text"}
