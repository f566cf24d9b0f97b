"""Take each fence of docs/money.md out, one at a time, and see that the tests notice: `make fences`.

Each change is made in a copy of the tree, which is thrown away. The untouched copy comes first and last and must pass:
a machine too busy for that proves nothing. Takes 10 to 20 minutes; names on the command line choose some fences.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = [
    "store/test_world",
    "workflows/test_races",
    "workflows/test_attempts",
    "workflows/test_transitions",
    "workflows/test_messages",
    "workflows/test_steered_by_hand",
    "workflows/test_fault_cases",
]
_TOLD_CHARACTERS = 6_000  # of what pytest printed, where the untouched copy fails


@dataclass(frozen=True)
class Edit:
    """Takes a fence out: in `file`, `without` in place of what stands there."""

    file: str
    stands: str
    without: str


def read_fences() -> dict[str, list[Edit]]:
    """From fences.toml: a fence's name, and the edits that take it out."""
    fences: dict[str, list[Edit]] = {}
    for each in tomllib.loads((ROOT / "tests/support/fences.toml").read_text())["fence"]:
        fences.setdefault(each["name"], []).append(Edit(each["file"], each["stands"], each["without"]))
    return fences


def copy_tree(folder: Path, edits: list[Edit]) -> None:
    """Copy the project, with the edits."""
    ignored = shutil.ignore_patterns(".git", ".venv", ".orderkit", ".*_cache", "__pycache__", "dist", "build")
    shutil.copytree(ROOT, folder, ignore=ignored)
    for edit in edits:
        text = (folder / edit.file).read_text()
        if text.count(edit.stands) != 1:
            raise SystemExit(f"{edit.file} has changed; mend tests/support/fences.toml:\n{edit.stands}")
        (folder / edit.file).write_text(text.replace(edit.stands, edit.without))


def first_failure(edits: list[Edit]) -> tuple[str, str]:
    """The first test that fails in a copy with the edits, or an empty text; and what pytest printed."""
    with tempfile.TemporaryDirectory(prefix="orderkit-fence-") as temporary:
        folder = Path(temporary) / "orderkit"
        copy_tree(folder, edits)
        tests = [f"tests/{name}.py" for name in TESTS]
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900)
    failed = [line for line in run.stdout.splitlines() if line.startswith(("FAILED tests", "ERROR tests"))]
    if run.returncode and not failed:
        raise SystemExit(f"pytest itself failed:\n{run.stdout[-2000:]}{run.stderr[-2000:]}")
    return (failed[0].partition(" ")[2].partition(" - ")[0] if failed else ""), run.stdout


def main(words: list[str]) -> int:
    """Exit status 1 when no test misses a fence, or when the untouched copy fails."""
    chosen = [(name, edits) for name, edits in read_fences().items() if not words or any(w in name for w in words)]
    wrong = 0
    for name, edits in [("(nothing taken out)", []), *chosen, ("(nothing taken out)", [])]:
        began = time.monotonic()
        failed, printed = first_failure(edits)
        right = bool(failed) == bool(edits)
        wrong += not right
        told = failed or "all tests pass"
        print(f"{'ok   ' if right else 'WRONG'} {name:40} {time.monotonic() - began:4.0f} s  {told}", flush=True)
        if failed and not right:
            print(printed[-_TOLD_CHARACTERS:], flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
