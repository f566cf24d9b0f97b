"""The cell magics of a notebook: `%%workflow`."""

from __future__ import annotations

from typing import Any

from orderkit.lab.display import Module
from orderkit.lab.workflows import Workflows


def offer_magics(workflows: Workflows) -> None:
    """Let the kernel's cells begin with `%%workflow`, or `%%workflow kitchen` for a file of that name.

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
        return workflows.define(cell, line.strip())

    shell.register_magic_function(workflow, magic_kind="cell", magic_name="workflow")
