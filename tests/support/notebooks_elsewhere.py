"""Run the notebooks and solutions on a PostgreSQL and a Temporal that the lab did not start: `make elsewhere`.

    python tests/support/notebooks_elsewhere.py [NN …]     only lessons that begin with NN

The notebooks are copied first. In the copies, what the cells tagged `kills-a-server` say is not compared: there a lab
says why it kills nobody else's server. All else must be as it is stored. Exit status 1 after any failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "notebooks"
KILLS = "kills-a-server"
OPTIONS = "-q --no-header -p no:cacheprovider --nbval --nbval-current-env -o addopts="


def copy_notebooks(folder: Path, only: Sequence[str] = ()) -> list[Path]:
    """Notebooks and solutions, and what pytest needs beside them; returns the copies."""
    for helper in BUILT.glob("*.py"):
        shutil.copy(helper, folder)
    copies = []
    for notebook in sorted([*BUILT.glob("*.ipynb"), *(BUILT / "solutions").glob("*.ipynb")]):
        name = notebook.relative_to(BUILT)
        if only and not str(name).startswith(tuple(only)) and not notebook.name.startswith(tuple(only)):
            continue
        read = nbformat.read(notebook, as_version=4)
        for cell in read.cells:
            if KILLS in (tags := cell.metadata.get("tags", [])):
                tags.append("nbval-ignore-output")
        (folder / name).parent.mkdir(exist_ok=True)
        nbformat.write(read, folder / name)
        copies.append(folder / name)
    return copies


def run_notebooks(notebooks: Sequence[Path], folder: Path, variables: Mapping[str, str], *more: str) -> int:
    """pytest's exit status; one process, since all notebooks share the servers' task queues."""
    command = [sys.executable, "-m", "pytest", *OPTIONS.split(), *more]
    where = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder), *map(str, notebooks)]
    environment = {**os.environ, **variables, "ORDERKIT_NOTEBOOKS": "elsewhere"}
    return subprocess.run([*command, *where], cwd=folder, env=environment, stdin=subprocess.DEVNULL).returncode


def main() -> int:
    from support.servers_elsewhere import TLS_VERSION, servers_elsewhere

    with tempfile.TemporaryDirectory(prefix="orderkit-elsewhere-") as temporary:
        folder = Path(temporary)
        (folder / "theirs").mkdir()
        (folder / "notebooks").mkdir()
        with servers_elsewhere(folder / "theirs") as servers:
            told = f"PostgreSQL {TLS_VERSION} with TLS" if TLS_VERSION else "PostgreSQL without TLS: none here has it"
            print(f"{told}, a password, and Temporal, apart from the lab", flush=True)
            before = servers.pids()
            copies = copy_notebooks(folder / "notebooks", sys.argv[1:])
            status = run_notebooks(copies, folder / "notebooks", servers.variables)
            if servers.pids() != before:
                print("a server that is not the lab's was killed")
                return 1
    return status


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))
    sys.exit(main())
