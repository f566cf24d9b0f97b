"""What the code of a cell says: its file's name, what its functions take, and how its mistakes are shown."""

from __future__ import annotations

import ast
import importlib.util
import keyword
import re
import sys
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

from orderkit.cells.code import Code, Function, parameters
from orderkit.cells.mistakes import Mistake, told
from orderkit.errors import CellRefused, LabError

_SIMPLE: dict[str, type] = {"str": str, "bool": bool, "int": Integral, "float": Real}


def check_arguments(what: str, function: Function, arguments: tuple[Any, ...]) -> None:
    """Raises LabError where the function takes more, fewer, or plainly others."""
    takes = parameters(function)
    least = len(takes) - len(function.args.defaults)
    kinds = [_SIMPLE.get(ast.unparse(each.annotation)) if each.annotation else None for each in takes]
    fit = all(isinstance(value, kind) for value, kind in zip(arguments, kinds, strict=False) if kind)
    if function.args.vararg or (least <= len(arguments) <= len(takes) and fit):
        return
    listed = ", ".join(map(ast.unparse, takes)) or "nothing"
    raise LabError(f"{what} takes {listed}; you gave {', '.join(map(repr, arguments)) or 'nothing'}")


def refused(mistakes: Sequence[Mistake], text: str) -> CellRefused:
    """The error that tells them."""
    return CellRefused(told(mistakes, text), sorted({mistake.line for mistake in mistakes}))


def snake(name: str) -> str:
    """`TeaRound` is `tea_round`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def module_name(code: Code, given: str) -> str:
    """The file's name: as given after the magic, else after the workflow's class. Raises CellRefused."""
    if not given and not code.workflows:
        what = "no class in this cell has @workflow.defn"
        instead = "@workflow.defn above the class; or, for activities alone, a name for the file: %%workflow kitchen"
        raise refused([Mistake(1, what, instead)], "")
    name = given or snake(code.workflows[0].name)
    if not name.isidentifier() or keyword.iskeyword(name):
        raise refused([Mistake(1, f"{name} cannot be the name of a Python file", "%%workflow kitchen")], "")
    if name in sys.stdlib_module_names or importlib.util.find_spec(name) is not None:
        if given:
            raise refused([Mistake(1, f"Python has a module {name} already", f"%%workflow my_{name}")], "")
        name = f"{name}_workflow"
    return name
