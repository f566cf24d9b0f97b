"""docs/how-to/test-your-workflow.md: its template of a project works as written, and its replay finds a change."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "test-your-workflow.md").read_text()
FILE = re.compile(r"^\*\*`(\S+)`\*\*\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def said(folder: Path) -> str:
    """The last line of pytest's output."""
    environment = {
        "HOME": str(folder),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_PLUGINS": "pytest_asyncio.plugin",
    }
    command = [sys.executable, "-m", "pytest", "-q"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return done.stdout.splitlines()[-1]


def test_the_template_works_and_its_kept_history_finds_a_change(tmp_path: Path) -> None:
    files = dict(FILE.findall(PAGE))
    assert set(files) == {"invoice.py", "conftest.py", "test_invoice.py", "pytest.ini"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    told = [re.sub(r" in .*", "", said(tmp_path)) for _ in range(2)]
    assert [f"`{each}`" in PAGE for each in told] == [True, True], told
    workflow = files["invoice.py"].replace(
        "        for letter", "        await workflow.sleep(1)\n        for letter", 1
    )
    (tmp_path / "invoice.py").write_text(workflow)
    assert said(tmp_path).startswith("1 failed, 6 passed")
