"""Calls in workflow code that do nothing, because `await` is missing."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from orderkit.cells.code import Code, Function
from orderkit.cells.mistakes import Mistake

_WORKFLOW = (
    "execute_activity", "execute_activity_method", "execute_activity_class", "execute_local_activity",
    "execute_child_workflow", "start_child_workflow", "sleep", "wait_condition", "wait",
)  # fmt: skip
_WAITING = {f"temporalio.workflow.{name}" for name in _WORKFLOW} | {
    f"asyncio.{name}" for name in ("sleep", "gather", "wait", "wait_for")
}
# What takes a coroutine and sees to it.
_TAKES = {"gather", "wait", "wait_for", "shield", "create_task", "ensure_future", "as_completed", "append"}
_PASSES_ON = (
    ast.Starred, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.ListComp, ast.GeneratorExp, ast.DictComp, ast.keyword,
    ast.IfExp, ast.comprehension,
)  # fmt: skip


def forgotten_awaits(code: Code, function: Function) -> Iterator[Mistake]:
    """Of one function of the workflow code."""
    own = _own_coroutines(code, function)
    for node in ast.walk(function):
        if not isinstance(node, ast.Call):
            continue
        name = code.name_of(node.func)
        if (name in _WAITING or name in own) and not _awaited(code, node, function):
            told = name.removeprefix("temporalio.")
            yield Mistake(node.lineno, f"{told}(…) does nothing until it is awaited", f"await {told}(…)")


def _own_coroutines(code: Code, function: Function) -> set[str]:
    """The cell's own async functions that it may call: its class's methods, and those beside the class."""
    names = {
        name
        for name, each in code.functions.items()
        if isinstance(each, ast.AsyncFunctionDef) and name not in code.activities
    }
    cls = code.parents.get(function)
    body = cls.body if isinstance(cls, ast.ClassDef) else []
    return names | {f"self.{each.name}" for each in body if isinstance(each, ast.AsyncFunctionDef)}


def _awaited(code: Code, call: ast.AST, function: Function) -> bool:
    """Whether the call's result is awaited, as far as the code shows."""
    parent = code.parents[call]
    if isinstance(parent, ast.Await | ast.Lambda):
        return True
    if isinstance(parent, ast.Call):
        return call is not parent.func  # passed to a function, which may await it
    if isinstance(parent, ast.Assign | ast.AnnAssign | ast.NamedExpr):
        targets = parent.targets if isinstance(parent, ast.Assign) else [parent.target]
        names = [each.id for each in targets if isinstance(each, ast.Name)]
        return not names or any(_used_in_wait(code, name, function) for name in names)
    if isinstance(parent, ast.Return):
        return isinstance(_function_of(code, parent), ast.FunctionDef)
    return isinstance(parent, _PASSES_ON) and _awaited(code, parent, function)


def _used_in_wait(code: Code, name: str, function: Function) -> bool:
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
            above: ast.AST = node
            while above is not function:
                above = code.parents[above]
                taken = isinstance(above, ast.Call) and code.name_of(above.func).rpartition(".")[2] in _TAKES
                if isinstance(above, ast.Await) or taken:
                    return True
    return False


def _function_of(code: Code, node: ast.AST) -> ast.AST:
    while not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        node = code.parents[node]
    return node
