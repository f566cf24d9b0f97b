"""The cell magics of a notebook: `%%workflow` and `%%test`."""

from __future__ import annotations

from typing import Any

from orderkit.lab.display import Module, PytestReport
from orderkit.lab.tests import Tests
from orderkit.lab.workflows import Workflows

_UNCHECKED = "--unchecked"


def offer_magics(workflows: Workflows, tests: Tests) -> None:
    """Let the kernel's cells begin with `%%workflow`, or `%%workflow kitchen` for a file of that name.

    `%%workflow --unchecked` leaves finding the known mistakes to Temporal. `%%test kitchen` runs its cell with pytest.

    Does nothing outside of IPython; done again, it means the lab that was started last.
    """
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return
    shell: Any = get_ipython()
    if shell is None:
        return

    def workflow(line: str, cell: str) -> Module:
        words = line.split()
        return workflows.define(cell, " ".join(w for w in words if w != _UNCHECKED), checked=_UNCHECKED not in words)

    def test(line: str, cell: str) -> PytestReport:
        return tests.define(cell, line.strip())

    shell.register_magic_function(test, magic_kind="cell", magic_name="test")
    shell.register_magic_function(workflow, magic_kind="cell", magic_name="workflow")
