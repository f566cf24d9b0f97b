"""Executes notebooks/src/NN_slug.py and writes notebooks/NN_slug.ipynb and, for lessons with an exercise, solutions/.

    python notebooks/build.py [NN …]     execute and write (only lessons that begin with NN)
    python notebooks/build.py --check    say whether sources and notebooks agree; executes nothing
    python notebooks/build.py --fresh    also renew pictures, and outputs that nobody compares

In a source (jupytext's py:percent), an exercise's code stands between `# <solution>` and `# </solution>`. A markdown
cell tagged `explain` is folded, so that no answer stands open under its question. `why="…"` beside
`nbval-ignore-output` is for authors, and stays in the source.
A second run changes nothing: where a cell is as before, and all that nbval compares of its output, its old output
stays, with its pictures. Cell ids come from the cells' text.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from workbench import Workbench, open_workbench

from orderkit.stack.tcp_ports import PREFERRED

FOLDER = Path(__file__).parent
SOURCES = FOLDER / "src"
SOLUTIONS = FOLDER / "solutions"
EXPLAIN = "explain"
FOLDED = "<details>\n<summary><b>Explain</b></summary>\n\n{}\n\n</details>"
SOLUTION = re.compile(r"^# <solution>\n(.*?)^# </solution>\n?", re.DOTALL | re.MULTILINE)
PLACEHOLDER = "# your code here\n"
IGNORED = "nbval-ignore-output"
NOT_COMPARED = ("image/png", "image/jpeg", "application/vnd.jupyter.widget-view+json")
CELL_SECONDS = 120


def compose(source: Path, solved: bool) -> NotebookNode:
    """The notebook of a source, not executed."""
    read = jupytext.read(source, fmt="py:percent")
    seen: Counter[str] = Counter()
    cells = []
    for cell in read.cells:
        text = cell.source.strip()
        digest = hashlib.sha256(f"{cell.cell_type}\n{text}".encode()).hexdigest()[:8]
        seen[digest] += 1
        if cell.cell_type == "code":
            text = SOLUTION.sub(r"\1" if solved else PLACEHOLDER, f"{text}\n").strip()
        elif EXPLAIN in cell.metadata.get("tags", []):
            text = FOLDED.format(text)
        made = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}[cell.cell_type](text)
        made.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        made.metadata = {"tags": list(cell.metadata["tags"])} if cell.metadata.get("tags") else {}
        cells.append(made)
    metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def targets() -> dict[Path, tuple[Path, bool]]:
    """Each notebook to be, with its source and whether it is solved."""
    found: dict[Path, tuple[Path, bool]] = {}
    for source in sorted(SOURCES.glob("[0-9][0-9]_*.py")):
        found[FOLDER / f"{source.stem}.ipynb"] = (source, False)
        if SOLUTION.search(source.read_text()):
            found[SOLUTIONS / f"{source.stem}.ipynb"] = (source, True)
    return found


def execute(notebook: NotebookNode, folder: Path, workbench: Workbench) -> None:
    """Run every cell; raises CellExecutionError, which shows the cell."""
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
    )
    client.execute(stderr=subprocess.DEVNULL)  # the kernel's own talk; what cells write there is output
    notebook.metadata.language_info = {"name": "python"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = _with_usual_ports(cell.outputs, workbench)
            for output in cell.outputs:
                # A stored widget has no kernel behind it; JupyterLab would say "model not found".
                output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
            # What a call showed only while it took long.
            cell.outputs = [output for output in cell.outputs if output.get("data") != {}]


def _with_usual_ports(outputs: list[NotebookNode], workbench: Workbench) -> list[NotebookNode]:
    """Say the addresses that a reader's own lab most likely has."""
    text = json.dumps(outputs)
    for name, port in PREFERRED.items():
        text = text.replace(f"127.0.0.1:{getattr(workbench.stack.ports, name)}", f"127.0.0.1:{port}")
    return [nbformat.from_dict(output) for output in json.loads(text)]


def keep_what_is_the_same(notebook: NotebookNode, before: NotebookNode) -> None:
    """Take over the old output of each cell where nbval would see no difference."""
    old = {cell.id: cell for cell in before.cells if cell.cell_type == "code"}
    for cell in notebook.cells:
        earlier = old.get(cell.get("id"))
        if cell.cell_type != "code" or earlier is None or earlier.source != cell.source:
            continue
        ignored = IGNORED in cell.metadata.get("tags", [])
        if ignored or _compared(cell.outputs) == _compared(earlier.outputs):
            cell.outputs = earlier.outputs


def _compared(outputs: list[NotebookNode]) -> list[dict[str, Any]]:
    compared = []
    for output in outputs:
        kept = {key: value for key, value in output.items() if key not in ("metadata", "execution_count", "traceback")}
        data = {key: value for key, value in kept.pop("data", {}).items() if key not in NOT_COMPARED}
        compared.append({**kept, **data})
    return compared


def build(only: list[str], fresh: bool) -> None:
    """Execute and write."""
    with open_workbench() as workbench:
        for name, value in workbench.variables.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
        for target, (source, solved) in targets().items():
            if only and not source.stem.startswith(tuple(only)):
                continue
            print(f"{target.relative_to(FOLDER.parent)} …", flush=True)
            notebook = compose(source, solved)
            target.parent.mkdir(exist_ok=True)
            execute(notebook, target.parent, workbench)
            if target.exists() and not fresh:
                keep_what_is_the_same(notebook, nbformat.read(target, as_version=4))
            nbformat.validate(notebook)
            nbformat.write(notebook, target)


def disagreements() -> list[str]:
    """What is wrong with the notebooks, judged by their sources."""
    wanted = targets()
    found = [
        f"{path.relative_to(FOLDER)} has no source"
        for path in sorted({*FOLDER.glob("*.ipynb"), *SOLUTIONS.glob("*.ipynb")} - set(wanted))
    ]
    for target, (source, solved) in wanted.items():
        name = target.relative_to(FOLDER)
        if not target.exists():
            found.append(f"{name} is missing")
            continue
        notebook, expected = nbformat.read(target, as_version=4), compose(source, solved)
        if [_essence(cell) for cell in notebook.cells] != [_essence(cell) for cell in expected.cells]:
            found.append(f"{name} differs from {source.relative_to(FOLDER)}")
        if any(cell.cell_type == "code" and cell.execution_count is None for cell in notebook.cells):
            found.append(f"{name} was not executed")
    return found


def _essence(cell: NotebookNode) -> tuple[str, str, str, str]:
    return cell.cell_type, cell.get("id", ""), cell.source, json.dumps(cell.metadata, sort_keys=True)


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description="Execute the lessons' sources and write the notebooks.")
    parser.add_argument("only", nargs="*", metavar="NN", help="only lessons that begin with this")
    parser.add_argument("--check", action="store_true", help="only say whether sources and notebooks agree")
    parser.add_argument("--fresh", action="store_true", help="also renew pictures and outputs that nobody compares")
    arguments = parser.parse_args()
    if not arguments.check:
        build(arguments.only, arguments.fresh)
        return 0
    found = disagreements()
    for line in found:
        print(line)
    if found:
        print("mend it: make notebooks")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
