"""How workflow code calls the activities of its cell: by execute_activity, with what they take, in limited time."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from orderkit.cells.code import Code, Function, parameters
from orderkit.cells.mistakes import Mistake

_CALLS = {f"temporalio.workflow.{name}" for name in ("execute_activity", "start_activity")}
_LIMITS = {"start_to_close_timeout", "schedule_to_close_timeout"}


def activity_calls(code: Code, function: Function) -> Iterator[Mistake]:
    """What is wrong with those of one function."""
    for node in ast.walk(function):
        if not isinstance(node, ast.Call):
            continue
        name = code.name_of(node.func)
        if name in code.activities:
            above = code.parents[node]
            if not (isinstance(above, ast.Call) and code.name_of(above.func) in _CALLS):
                why = f"{name}(…) would run the activity inside the workflow, without retries and without a record"
                yield Mistake(node.lineno, why, f"await workflow.execute_activity({name}, …)")
        if name in _CALLS:
            yield from _execute(code, node)


def _execute(code: Code, call: ast.Call) -> Iterator[Mistake]:
    words = {each.arg for each in call.keywords}
    if None not in words and not words & _LIMITS:
        yield Mistake(call.lineno, "an activity needs a time limit", "…, start_to_close_timeout=timedelta(seconds=5))")
    if not call.args:
        return
    wanted = call.args[0]
    if isinstance(wanted, ast.Call) and (name := code.name_of(wanted.func)) in code.activities:
        yield Mistake(
            wanted.lineno, f"{name}(…) calls the activity here", f"workflow.execute_activity({name}, …): its name alone"
        )
        return
    name = code.name_of(wanted)
    if name in code.functions and name not in code.activities:
        yield Mistake(call.lineno, f"{name} is no activity", f"@activity.defn in the line above def {name}")
    elif name in code.activities:
        yield from _arguments(call, name, code.activities[name])


def _arguments(call: ast.Call, name: str, activity: Function) -> Iterator[Mistake]:
    given: list[ast.expr] = call.args[1:]
    several = next((each.value for each in call.keywords if each.arg == "args"), None)
    if len(given) > 1:
        yield Mistake(call.lineno, "only one argument can follow the activity's name", "args=[…] for several")
        return
    if several is not None:
        if not isinstance(several, ast.List | ast.Tuple):
            return
        given = several.elts
    if any(isinstance(each, ast.Starred) for each in [*call.args, *given]) or activity.args.vararg:
        return
    takes = parameters(activity)
    if not len(takes) - len(activity.args.defaults) <= len(given) <= len(takes):
        listed = ", ".join(map(ast.unparse, takes)) or "nothing"
        count = f"{len(given)} argument{'s' * (len(given) != 1)}" if given else "nothing"
        yield Mistake(call.lineno, f"{name} takes {listed}, and is given {count}")
        return
    for value, parameter in zip(given, takes, strict=False):
        kind, wanted = _kind(value), ast.unparse(parameter.annotation) if parameter.annotation else ""
        if kind and wanted in ("int", "str", "float", "bool") and kind != wanted and (kind, wanted) != ("int", "float"):
            yield Mistake(value.lineno, f"{name} takes {ast.unparse(parameter)}, and is given {ast.unparse(value)}")


def _kind(value: ast.expr) -> str:
    """The type of a literal; empty where only running it would tell."""
    if isinstance(value, ast.Constant) and value.value is not None:
        return type(value.value).__name__
    return "str" if isinstance(value, ast.JoinedStr) else ""
