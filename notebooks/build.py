"""Executes notebooks/src/NN_slug.py and writes notebooks/NN_slug.ipynb and, for lessons with an exercise, solutions/.

    python notebooks/build.py [NN …]     execute and write (only lessons that begin with NN)
    python notebooks/build.py --check    say whether sources and notebooks agree; executes nothing
    python notebooks/build.py --fresh    also renew pictures, and outputs that nobody compares
    python notebooks/build.py --texts    write what is not code: prose, translations, slides; executes nothing

In a source (jupytext's py:percent), an exercise's code stands between `# <solution>` and `# </solution>`. A markdown
cell tagged `explain` is folded, so that no answer stands open under its question. `why="…"` beside
`nbval-ignore-output` is for authors, and stays in the source.
A second run changes nothing: where a cell is as before, and all that nbval compares of its output, its old output
stays, with its pictures. Cell ids come from the cells' text. Each cell says which part of a slide it is.
A translation (translations.py) has the same code and no outputs: nobody runs it to build or to test it.
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
from translations import LANGUAGES, read_translation, stale, translation_of
from workbench import Workbench, open_workbench

from orderkit.stack.tcp_ports import PREFERRED

FOLDER = Path(__file__).parent
SOURCES = FOLDER / "src"
SOLUTIONS = FOLDER / "solutions"
EXPLAIN = "explain"
FOLDED = "<details>\n<summary><b>{}</b></summary>\n\n{}\n\n</details>"
SOLUTION = re.compile(r"^# <solution>\n(.*?)^# </solution>\n?", re.DOTALL | re.MULTILINE)
PLACEHOLDER = "# your code here\n"
IGNORED = "nbval-ignore-output"
NOT_COMPARED = ("image/png", "image/jpeg", "application/vnd.jupyter.widget-view+json")
CELL_SECONDS = 120


def compose(source: Path, solved: bool, language: str = "") -> NotebookNode:
    """The notebook of a source, not executed; with the prose of a translation where there is one."""
    read = jupytext.read(source, fmt="py:percent")
    translated = read_translation(translation_of(source, language)) if language else {}
    seen: Counter[str] = Counter()
    cells: list[NotebookNode] = []
    for cell in read.cells:
        text = cell.source.strip()
        tags = list(cell.metadata.get("tags", []))
        digest = hashlib.sha256(f"{cell.cell_type}\n{text}".encode()).hexdigest()[:8]
        seen[digest] += 1
        key = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        part = slide_part(cell.cell_type, text, tags, cells[-1] if cells else None)
        if cell.cell_type == "code":
            text = SOLUTION.sub(r"\1" if solved else PLACEHOLDER, f"{text}\n").strip()
        else:
            text = translated.get(key, text)
            if EXPLAIN in tags:
                text = FOLDED.format(LANGUAGES.get(language, "Explain"), text)
        made = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}[cell.cell_type](text)
        made.id = key
        made.metadata = {"tags": tags} if tags else {}
        if part:
            made.metadata["slideshow"] = {"slide_type": part}
        cells.append(made)
    metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def slide_part(kind: str, text: str, tags: list[str], before: NotebookNode | None) -> str:
    """nbconvert's and RISE's word: each heading begins a slide, each step of it is below; "" goes on."""
    if before is None or text.startswith("## "):
        return "slide"
    if text.startswith("predictions."):
        return "skip"
    if EXPLAIN in tags:
        return "fragment"
    introduced = before.cell_type == "markdown" and EXPLAIN not in before.metadata.get("tags", [])
    return "" if kind == "code" and introduced else "subslide"


def prose_of(source: Path) -> dict[str, str]:
    """The pieces of English prose, by the keys that translations use."""
    return {cell.id: cell.source for cell in compose(source, solved=False).cells if cell.cell_type == "markdown"}


def translated_targets() -> dict[Path, tuple[Path, str]]:
    """Each translated notebook to be, with its source and language."""
    return {
        FOLDER / language / f"{source.stem}.ipynb": (source, language)
        for language in LANGUAGES
        for source in sorted(SOURCES.glob("[0-9][0-9]_*.py"))
        if translation_of(source, language).exists()
    }


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
            cell.outputs = lasting(cell.outputs, workbench)


def lasting(outputs: list[NotebookNode], workbench: Workbench) -> list[NotebookNode]:
    """As they are stored."""
    outputs = _with_usual_ports(outputs, workbench)
    for output in outputs:
        # A stored widget has no kernel behind it; JupyterLab would say "model not found".
        output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    # What a call showed only while it took long.
    return [output for output in outputs if output.get("data") != {}]


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
        if ignored or compared(cell.outputs) == compared(earlier.outputs):
            cell.outputs = earlier.outputs


def compared(outputs: list[NotebookNode]) -> list[dict[str, Any]]:
    """What nbval compares of them."""
    found = []
    for output in outputs:
        kept = {key: value for key, value in output.items() if key not in ("metadata", "execution_count", "traceback")}
        data = {key: value for key, value in kept.pop("data", {}).items() if key not in NOT_COMPARED}
        found.append({**kept, **data})
    return found


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
            execute(notebook, target.parent, workbench)
            if target.exists() and not fresh:
                keep_what_is_the_same(notebook, nbformat.read(target, as_version=4))
            write(notebook, target)
    write_translations()


def write_texts(only: list[str]) -> None:
    """Write what is not code; a notebook whose code has changed is left to `build`."""
    for target, (source, solved) in targets().items():
        if not target.exists() or (only and not source.stem.startswith(tuple(only))):
            continue
        notebook = compose(source, solved)
        before = {(cell.id, cell.source): cell for cell in nbformat.read(target, as_version=4).cells}
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        if any((cell.id, cell.source) not in before for cell in code):
            print(f"{target.relative_to(FOLDER.parent)} has other code: python notebooks/build.py {source.stem[:2]}")
            continue
        for cell in code:
            earlier = before[cell.id, cell.source]
            cell.outputs, cell.execution_count = earlier.outputs, earlier.execution_count
        write(notebook, target)
    write_translations()


def write_translations() -> None:
    """All of them: it takes no time."""
    for target, (source, language) in translated_targets().items():
        write(compose(source, solved=False, language=language), target)


def write(notebook: NotebookNode, target: Path) -> None:
    """Check the notebook's form, and write it."""
    nbformat.validate(notebook)
    target.parent.mkdir(exist_ok=True)
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
    for target, (source, language) in translated_targets().items():
        name = translation_of(source, language).relative_to(FOLDER)
        faults = stale(prose_of(source), read_translation(translation_of(source, language)))
        found += [f"{name}: {fault}" for fault in faults]
        expected = compose(source, solved=False, language=language)
        if not faults and (not target.exists() or nbformat.read(target, as_version=4) != expected):
            found.append(f"{target.relative_to(FOLDER)} differs from {name}: python notebooks/build.py --texts")
    return found


def _essence(cell: NotebookNode) -> tuple[str, str, str, str]:
    return cell.cell_type, cell.get("id", ""), cell.source, json.dumps(cell.metadata, sort_keys=True)


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description="Execute the lessons' sources and write the notebooks.")
    parser.add_argument("only", nargs="*", metavar="NN", help="only lessons that begin with this")
    parser.add_argument("--check", action="store_true", help="only say whether sources and notebooks agree")
    parser.add_argument("--fresh", action="store_true", help="also renew pictures and outputs that nobody compares")
    parser.add_argument("--texts", action="store_true", help="only write what is not code; executes nothing")
    arguments = parser.parse_args()
    if arguments.texts:
        write_texts(arguments.only)
        return 0
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
