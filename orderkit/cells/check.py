"""Finds the known mistakes in a cell before anything of it runs: in milliseconds, each with its line."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from difflib import get_close_matches

from orderkit.cells.awaiting import forgotten_awaits
from orderkit.cells.calls import activity_calls
from orderkit.cells.code import HEADER, Code, Function
from orderkit.cells.mistakes import Mistake
from orderkit.cells.rules import BLOCKING, Rule, rule_for


def as_module(cell: str) -> str:
    """The text of the file: the header stands where the magic stood."""
    return f"{HEADER}\n{cell}"


def read(text: str) -> Code | Mistake:
    """Parse it; a mistake where Python cannot."""
    try:
        return Code(ast.parse(text))
    except SyntaxError as error:
        return Mistake(error.lineno or 0, f"Python cannot read this: {error.msg}")


def mistakes_in(code: Code) -> list[Mistake]:
    """What is certain to go wrong, from above."""
    found = [
        *(Mistake(name.lineno, f"nobody knows the name {name.id}", _meant(name.id)) for name in code.unknown_names()),
        *_not_in_the_sdk(code),
        *_in_activities(code),
        *_in_handlers(code),
    ]
    for function in code.workflow_code():
        found += [*_forbidden(code, function), *forgotten_awaits(code, function), *activity_calls(code, function)]
    # A forbidden call of a module that is not imported is one mistake, not two.
    doomed = {(each.line, each.what.split()[2].partition(".")[0]) for each in found if each.what.startswith(_WORKFLOW)}
    return sorted({each for each in found if (each.line, each.what.split()[-1]) not in doomed})


def notes_on(code: Code) -> list[Mistake]:
    """What goes well, but not as one may think."""
    return sorted(
        Mistake(node.lineno, "print writes to the worker's log, again with each replay", "workflow.logger.info(…)")
        for function in code.workflow_code()
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and code.name_of(node.func) == "print"
    )


_WORKFLOW = "workflow code: "
_USUAL = {"datetime": "from datetime import datetime", "dataclass": "from dataclasses import dataclass"}
_MODULES = ("time", "random", "uuid", "json", "math", "requests", "httpx", "logging", "dataclasses", "os", "re")


def _meant(name: str) -> str:
    if name in _MODULES:
        return f"import {name}, further up in the cell"
    return f"{_USUAL[name]}, further up in the cell" if name in _USUAL else ""


def _not_in_the_sdk(code: Code) -> Iterator[Mistake]:
    """Typos after `workflow.` and `activity.`."""
    from temporalio import activity, workflow

    for node in ast.walk(code.tree):
        name = code.name_of(node) if isinstance(node, ast.Attribute) else ""
        for module in (workflow, activity):
            word = name.removeprefix(f"{module.__name__}.")
            if isinstance(node, ast.Attribute) and word == node.attr and word != name and not hasattr(module, word):
                kind = module.__name__.rpartition(".")[2]
                close = get_close_matches(word, dir(module), 1)
                yield Mistake(node.lineno, f"{kind} has no {word}", f"{kind}.{close[0]}" if close else "")


def _forbidden(code: Code, function: Function) -> Iterator[Mistake]:
    for node in ast.walk(function):
        name = code.name_of(node.func) if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Attribute) and code.name_of(node) == "os.environ":
            name = "os.environ"
        if (rule := rule_for(name)) and isinstance(node, ast.expr):
            yield Mistake(node.lineno, f"{_WORKFLOW}{name} {rule.why}", rule.instead)
        if isinstance(node, ast.While) and _spins(node):
            why = "this loop waits for nobody, so nothing that it waits for can happen"
            yield Mistake(node.lineno, f"{_WORKFLOW}{why}", "await workflow.wait_condition(lambda: …)")


def _spins(loop: ast.While) -> bool:
    """Whether nothing in the loop can end it or let others go on."""
    inside = [node for part in (loop.test, *loop.body) for node in ast.walk(part)]
    leaves = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.Break, ast.Return, ast.Raise)
    changed = {node.id for node in inside if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    asked = {node.id for node in ast.walk(loop.test) if isinstance(node, ast.Name)}
    calls = any(isinstance(node, ast.Call) for node in inside)
    return not (any(isinstance(node, leaves) for node in inside) or changed & asked or calls)


def _in_activities(code: Code) -> Iterator[Mistake]:
    for function in code.activity_code():
        for node in ast.walk(function):
            if not isinstance(node, ast.Call):
                continue
            name = code.name_of(node.func)
            if name.startswith("temporalio.workflow."):
                told = name.removeprefix("temporalio.")
                yield Mistake(node.lineno, f"activity: {told} works in workflows only", "give the value as an argument")
            elif isinstance(function, ast.AsyncFunctionDef) and Rule(("time.sleep", *BLOCKING), "", "").covers(name):
                instead = "await asyncio.sleep(…)" if name == "time.sleep" else "await httpx.AsyncClient().get(…)"
                why = "waits without await, and every other activity of the worker waits with it"
                yield Mistake(node.lineno, f"async activity: {name} {why}", f"{instead}, or a def without async")


def _in_handlers(code: Code) -> Iterator[Mistake]:
    """A name that is both decorated and assigned, or a run that is no coroutine."""
    for cls in code.workflows:
        runs = [node for node in cls.body if isinstance(node, Function) and code.has(node, "temporalio.workflow.run")]
        if not runs:
            yield Mistake(cls.lineno, f"{cls.name} has no method to run", "@workflow.run above its async def run(self)")
        for run in runs:
            if isinstance(run, ast.FunctionDef):
                yield Mistake(run.lineno, f"{cls.name}.{run.name} cannot wait for anything", "async def")
    for name, function in code.functions.items():
        if code.has(function, "temporalio.workflow.defn"):
            yield Mistake(function.lineno, f"{name} is a function, and a workflow is a class", "class, with a run")
