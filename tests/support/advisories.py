"""Look the pinned packages up among the known vulnerabilities, with pip-audit, once a day and after each change.

Not every package index serves them, and nobody answers without a network; pip-audit then passes and says that it knows
of none. So this asks about one package first, and says that it was skipped where nothing is told of that one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PINS = Path(__file__).parents[2] / "constraints.txt"
LAST_PASS = Path(sys.prefix) / ".advisories"
A_DAY = 86_400


def look_up(pins: Sequence[str], options: Sequence[str]) -> list[dict[str, Any]]:
    """What pip-audit tells of each pin that it could look up."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(pins))
        file.flush()
        command = [sys.executable, "-m", "pip_audit", "-r", file.name, "--no-deps", "--disable-pip", "-f", "json"]
        run = subprocess.run([*command, "--timeout", "5", *options], capture_output=True, text=True, check=False)
    try:
        return [each for each in json.loads(run.stdout)["dependencies"] if "skip_reason" not in each]
    except ValueError:
        return []  # it gave up: nobody answered


def audit(pins: Sequence[str], options: Sequence[str] = ()) -> tuple[int | None, list[str]]:
    """How many packages were looked up, None where advisories are not served, and a line for each vulnerability."""
    if not look_up(pins[:1], options):
        return None, []
    known = look_up(pins, options)
    return len(known), [
        f"{each['name']} {each['version']}: {found['id']}, mended in {', '.join(found['fix_versions']) or 'no version'}"
        for each in known
        for found in each["vulns"]
    ]


def main() -> int:
    """Exit status 1 when a pinned package has a known vulnerability."""
    if LAST_PASS.exists() and LAST_PASS.stat().st_mtime > max(PINS.stat().st_mtime, time.time() - A_DAY):
        print("advisories: none today for these pins")
        return 0
    pins = [line for line in PINS.read_text().splitlines() if "==" in line and not line.startswith("#")]
    looked_up, found = audit(pins)
    if looked_up is None:
        print("advisories: skipped, nobody here serves them (no network, or an index of packages alone)")
        return 0
    print("\n".join([*found, f"advisories: {looked_up} packages looked up, {len(found)} known vulnerabilities"]))
    if found:
        return 1
    LAST_PASS.touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
