"""Install the lowest versions that pyproject.toml allows into an environment of their own, and run it: `make lowest`.

Only what orderkit names itself is at its lowest; what those packages need is as new as they take. Takes some minutes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
# What a notebook does: an order, its table and its chart, the audit, the console.
NOTEBOOK = """
import asyncio
from orderkit.lab import Lab

async def notebook():
    lab = await Lab.start()
    await lab.orders.start("tea", review="none", faults="charge=error,ok")
    print(await lab.orders.wait("tea"), await lab.orders.attempts("tea"), await lab.audit(), sep="\\n")
    assert (await lab.charts.timeline("tea"))._repr_png_()
    print((await lab.console()).table())
    await lab.close()

asyncio.run(notebook())
"""


def lowest_pins(dependencies: list[str]) -> list[str]:
    """`name==lowest` for each dependency that this platform needs. Raises SystemExit for one without a lower bound."""
    pins = []
    for text in dependencies:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate():
            continue
        lowest = [each.version for each in requirement.specifier if each.operator == ">="]
        if len(lowest) != 1:
            raise SystemExit(f"{text} has no lower bound")
        pins.append(f"{requirement.name}=={lowest[0]}")
    return pins


def main() -> int:
    """Exit status 1 when they cannot be installed, or when the demo fails."""
    pins = lowest_pins(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    print("\n".join(pins), flush=True)
    with tempfile.TemporaryDirectory(prefix="orderkit-lowest-") as temporary:
        folder = Path(temporary)
        venv.create(folder / "venv", with_pip=True)
        python = str(folder / "venv" / "bin" / "python")
        install = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "-q", *pins, str(ROOT)]
        if subprocess.run(install, check=False).returncode:
            return 1
        place = folder / "place"
        place.mkdir()
        for faults in ("calm", "charge=error,ok; dispatch=crash,ok"):
            demo = [python, "-m", "orderkit", "demo", "--faults", faults]
            if subprocess.run(demo, cwd=place, check=False, timeout=120).returncode:
                return 1
        notebook = subprocess.run([python, "-c", NOTEBOOK], cwd=place, check=False, timeout=120)
        down = subprocess.run([python, "-m", "orderkit", "down"], cwd=place, check=False, timeout=60)
        return notebook.returncode or down.returncode


if __name__ == "__main__":
    sys.exit(main())
