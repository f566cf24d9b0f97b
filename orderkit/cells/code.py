"""What is in a cell: its imports, workflows and activities, and which functions are workflow code. Runs none of it."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator

Function = ast.FunctionDef | ast.AsyncFunctionDef

# Line 1 of the file, where the cell has its magic: so line 7 of the file is line 7 of the cell.
HEADER = (
    "import asyncio; from datetime import timedelta; from temporalio import activity, workflow; "
    "from temporalio.common import RetryPolicy; from temporalio.exceptions import ActivityError, ApplicationError"
)


class Code:
    """A parsed cell."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        self._names = dict(self._imported())
        self.functions = {node.name: node for node in tree.body if isinstance(node, Function)}
        self.classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        self.workflows = [node for node in self.classes if self.has(node, "temporalio.workflow.defn")]
        self.activities = {
            name: node for name, node in self.functions.items() if self.has(node, "temporalio.activity.defn")
        }

    def _imported(self) -> Iterator[tuple[str, str]]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for each in node.names:
                    yield (each.asname, each.name) if each.asname else (each.name.partition(".")[0],) * 2
            elif isinstance(node, ast.ImportFrom):
                for each in node.names:
                    yield each.asname or each.name, f"{node.module}.{each.name}"

    def name_of(self, node: ast.AST) -> str:
        """The full dotted name of an expression, also after `import … as`; empty for anything else."""
        if isinstance(node, ast.Name):
            return self._names.get(node.id, node.id)
        if isinstance(node, ast.Attribute) and (owner := self.name_of(node.value)):
            return f"{owner}.{node.attr}"
        return ""

    def has(self, node: Function | ast.ClassDef, decorator: str) -> bool:
        """Whether it is decorated so, with or without parentheses."""
        plain = (each.func if isinstance(each, ast.Call) else each for each in node.decorator_list)
        return decorator in map(self.name_of, plain)

    def decorated(self, cls: ast.ClassDef, decorator: str) -> dict[str, Function]:
        """The methods with this decorator, by the names that they are called by."""
        found = {}
        for node in cls.body:
            if isinstance(node, Function) and self.has(node, decorator):
                named = [word for each in node.decorator_list if isinstance(each, ast.Call) for word in each.keywords]
                names = [w.value.value for w in named if w.arg == "name" and isinstance(w.value, ast.Constant)]
                found[str(names[0]) if names else node.name] = node
        return found

    def workflow_code(self) -> list[Function]:
        """The methods of the workflows, and the functions of the cell that they call, also by others."""
        todo = [node for cls in self.workflows for node in cls.body if isinstance(node, Function)]
        found: list[Function] = []
        while todo:
            function = todo.pop()
            if function in found:
                continue
            found.append(function)
            called = (self.name_of(node.func) for node in ast.walk(function) if isinstance(node, ast.Call))
            todo += [self.functions[name] for name in called if name in self.functions and name not in self.activities]
        return found

    def activity_code(self) -> list[Function]:
        """Every function or method that is an activity."""
        methods = [node for cls in self.classes for node in cls.body if isinstance(node, Function)]
        return [*self.activities.values(), *(each for each in methods if self.has(each, "temporalio.activity.defn"))]

    def unknown_names(self) -> Iterator[ast.Name]:
        """Names that nothing in the cell makes, and Python does not know: a typo, or an import that is missing."""
        if any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(self.tree)):
            return
        known = {*dir(builtins), "__name__", "__file__", *self._names}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                known.add(node.id)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                known.add(node.name)
            elif isinstance(node, ast.arg):
                known.add(node.arg)
            elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
                known.add(node.name)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Name) and node.id not in known:
                yield node


def parameters(function: Function) -> list[ast.arg]:
    """Those that a caller fills by place, without `self`."""
    given = [*function.args.posonlyargs, *function.args.args]
    return given[1:] if given and given[0].arg in ("self", "cls") else given
