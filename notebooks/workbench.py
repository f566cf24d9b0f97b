"""Where build.py and the tests execute notebooks: a lab of their own, and kernels that leave nothing behind.

With ORDERKIT_NOTEBOOKS=elsewhere the lab uses the servers that the environment names (`make elsewhere`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from orderkit.stack.elsewhere import FOLDER, Elsewhere
from orderkit.stack.lifecycle import down, up
from orderkit.stack.stack import Stack

# What leads elsewhere in the caller's environment.
_FOREIGN = ("ORDERKIT_", "TEMPORAL_", "JUPYTER_", "IPYTHON")


@dataclass(frozen=True)
class Workbench:
    """A running lab, and the variables that kernels need; a name without a value is to be unset."""

    stack: Stack
    variables: Mapping[str, str | None]


@contextmanager
def open_workbench() -> Iterator[Workbench]:
    """Start a lab in a temporary folder, on ports that nobody prefers; put it down and remove the folder afterwards."""
    with tempfile.TemporaryDirectory(prefix="orderkit-notebooks-") as folder:
        elsewhere = Elsewhere.from_environment() if os.environ.get("ORDERKIT_NOTEBOOKS") == "elsewhere" else None
        home = Path(folder) / ".orderkit" / (FOLDER if elsewhere else "")
        variables = {**_variables(Path(folder)), **(elsewhere.variables if elsewhere else {})}
        # Matplotlib looks for fonts once; should it take long, it says so, and no cell shall.
        fonts = subprocess.Popen(
            [sys.executable, "-c", "import matplotlib.font_manager"],
            env={**os.environ, "MPLCONFIGDIR": str(variables["MPLCONFIGDIR"])},
            stderr=subprocess.DEVNULL,
        )
        try:
            stack = up(home, elsewhere=elsewhere, preferred={})
            fonts.wait(60)
            yield Workbench(stack, variables)
        finally:
            if fonts.poll() is None:
                fonts.kill()
                fonts.wait()
            down(home)


def _variables(folder: Path) -> dict[str, str | None]:
    foreign = {name: None for name in os.environ if name.startswith(_FOREIGN)}
    return foreign | {
        "ORDERKIT_HOME": str(folder / ".orderkit"),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_CONFIG_DIR": str(folder / "jupyter" / "config"),
        "JUPYTER_DATA_DIR": str(folder / "jupyter" / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "jupyter" / "runtime"),
        "MPLCONFIGDIR": str(folder / "matplotlib"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # else the kernel's debugger may warn at its start
    }
