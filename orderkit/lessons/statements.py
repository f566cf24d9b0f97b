"""A lesson's cells by round, and what a statement of a cell defines, uses and does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from orderkit.lab.cell_code import snake

Cell = dict[str, Any]  # of a notebook's JSON

BEGINNING, EXERCISE = "beginning", "exercise"
_HEADING = re.compile(r"^## (?:Round (\d+)|(Exercise))\b", re.MULTILINE)
# Methods that only look. `status` is not among them: it looks at what its own cell has done.
_LOOKS = frozenset(
    {"attempts", "audit", "compare", "connect_temporal", "doctor", "events", "failures", "firing", "history", "ledger"}
    | {"links", "logs", "metrics", "orders", "query", "replay", "result", "timeline"}
)
_LOOKING = ("lab.charts.",)
_STEERING = ("lab.workers.", "lab.postgres.", "lab.temporal.", "lab.api.")
_SHOWS = ("display", "print")
_MAKES = ("load", "order", "start", "visit")


@dataclass(frozen=True)
class Section:
    """The beginning, a round, or the exercise with all that comes after it."""

    name: str  # "beginning", "1" … "5", "exercise"
    cells: tuple[Cell, ...]


def sections(cells: Sequence[Cell]) -> list[Section]:
    """A lesson's cells by round. A markdown cell with a heading in its middle is cut in two there."""
    found: list[tuple[str, list[Cell]]] = [(BEGINNING, [])]
    for cell in cells:
        text = source_of(cell)
        heading = _HEADING.search(text) if cell["cell_type"] == "markdown" else None
        if heading is None:
            found[-1][1].append(cell)
            continue
        if before := text[: heading.start()].strip():
            found[-1][1].append({**cell, "id": f"{cell['id']}-before", "source": before})
        found.append((heading[1] or EXERCISE, [{**cell, "source": text[heading.start() :]}]))
    return [Section(name, tuple(parts)) for name, parts in found]


def source_of(cell: Cell) -> str:
    """The cell's text: files have it as one string, or in lines."""
    return cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])


@dataclass(frozen=True)
class Statement:
    """A statement of a cell, or a whole `%%workflow` or `%%test` cell."""

    section: str
    cell: int  # the cell's number in the lesson
    node: ast.stmt
    source: str  # the cell's text
    raises: bool = False  # it is there to raise an error

    @property
    def magic(self) -> str:
        """The cell's text after `%%`, if the statement is such a cell."""
        return self.source[2:] if self.source.startswith("%%") else ""

    @cached_property
    def text(self) -> str:
        """As it stands in the cell; a magic cell as a call."""
        if not self.magic:
            return ast.get_source_segment(self.source, self.node) or ""
        line, _, body = self.magic.partition("\n")
        name, _, told = line.partition(" ")
        quoted = repr(body) if re.search(r'\\|"""', body) else f'"""\n{body}\n"""'
        return f'get_ipython().run_cell_magic("{name}", "{told}", {quoted})'

    @property
    def prepares(self) -> bool:
        """Whether a statement of the lesson's beginning is more than a look at something."""
        looks_only = isinstance(self.node, ast.Expr) and all(_looks(name) for name, _ in self.calls)
        return bool(self.magic) or not looks_only

    @cached_property
    def defines(self) -> frozenset[str]:
        """The names that later statements have from this one."""
        names = {node.id for node in _walk(self.node) if isinstance(node, ast.Name) and _stores(node)}
        aliases = (alias for node in _walk(self.node) if isinstance(node, _IMPORTS) for alias in node.names)
        return frozenset(names | {(alias.asname or alias.name).partition(".")[0] for alias in aliases})

    @cached_property
    def loads(self) -> frozenset[str]:
        """The names that it has from earlier statements."""
        names = [node for node in ast.walk(self.node) if isinstance(node, ast.Name)]
        inside = {name.id for name in names if _stores(name)}
        own = inside if not isinstance(self.node, ast.Assign | ast.AugAssign) else inside - self.defines
        return frozenset(name.id for name in names if not _stores(name)) - own

    @property
    def imports(self) -> bool:
        """Whether it is an import."""
        return isinstance(self.node, _IMPORTS)

    @cached_property
    def calls(self) -> list[tuple[str, ast.Call]]:
        """What it awaits: `lab.orders.start`, and the call."""
        awaited = (node.value for node in ast.walk(self.node) if isinstance(node, ast.Await))
        return [(_dotted(call.func), call) for call in awaited if isinstance(call, ast.Call)]

    @cached_property
    def acts(self) -> bool:
        """Whether it does something that later rounds may need; a `try` in a lesson only shows an error."""
        if isinstance(self.node, ast.Try) or self.raises:
            return False
        return bool(self.magic) or any(not _looks(name) and not name.startswith(_STEERING) for name, _ in self.calls)

    @cached_property
    def words(self) -> frozenset[str]:
        """The names in its calls: of orders, of runs, of workflows, of tests. A magic cell: what it makes."""
        if self.magic:
            kind, _, name = self.magic.partition("\n")[0].partition(" ")
            return frozenset([f"test {name}"] if kind == "test" else re.findall(r"^class (\w+)", self.magic, re.M))
        return frozenset(word for name, call in self.calls for word in _words(name, call))

    @cached_property
    def asks_for(self) -> frozenset[str]:
        """The words that must have been made before it."""
        if not self.magic:
            return self.words
        lists = re.findall(r"^from \w+ import (.+)", self.magic, re.M)
        return frozenset(word for each in lists for word in re.findall(r"\w+", each))

    @cached_property
    def at_hand(self) -> frozenset[str]:
        """The variables on which its calls work: the museum, a list of orders. Not what is only told to them."""
        on = [part for _, call in self.calls for part in (call.func, *call.args[:1], *_starred(call))]
        names = {node.id for part in on for node in ast.walk(part) if isinstance(node, ast.Name)}
        if names & {node.id for node in ast.walk(self.node) if isinstance(node, ast.Name) and _stores(node)}:
            loops = [node.iter for node in ast.walk(self.node) if isinstance(node, ast.For | ast.comprehension)]
            names |= {node.id for loop in loops for node in ast.walk(loop) if isinstance(node, ast.Name)}
        return frozenset(names & self.loads)

    @property
    def made(self) -> list[str]:
        """The orders and runs that it starts, as far as they stand there by name."""
        calls = [(name, call) for name, call in self.calls if name.rpartition(".")[2] in _MAKES]
        return [word for name, call in calls for word in _words(name, call)]

    @property
    def quiet(self) -> str:
        """Its text, without `display` and `print` around what it does."""
        call = self.node.value if isinstance(self.node, ast.Expr) else None
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in _SHOWS):
            return self.text
        doing = [each for each in call.args if any(isinstance(node, ast.Await) for node in ast.walk(each))]
        return "\n".join(ast.get_source_segment(self.source, each) or "" for each in doing)


def read_statements(parts: Iterable[Section]) -> list[Statement]:
    """Every statement of a lesson, in its order."""
    found = []
    number = 0
    for part in parts:
        for cell in part.cells:
            number += 1
            if cell["cell_type"] == "code":
                raises = "raises-exception" in cell["metadata"].get("tags", [])
                text = source_of(cell)
                nodes = [ast.Pass()] if text.startswith("%%") else ast.parse(text).body
                found += [Statement(part.name, number, node, text, raises) for node in nodes]
    return found


_IMPORTS = (ast.Import, ast.ImportFrom)


def _stores(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """Without what has names of its own: comprehensions and lambdas."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp | ast.Lambda):
            yield from _walk(child)


def _dotted(node: ast.expr) -> str:
    """`lab.orders.start`; of a call in the middle only its name."""
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return _dotted(node.func) if isinstance(node, ast.Call) else node.id if isinstance(node, ast.Name) else ""


def _looks(name: str) -> bool:
    return name.rpartition(".")[2] in _LOOKS or name.startswith(_LOOKING)


def _words(name: str, call: ast.Call) -> list[str]:
    """The strings among its arguments. Of a workflow's run only its own name: what follows is told to the workflow."""
    words = [each.value for each in call.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    if name.startswith("lab.tests."):
        return [f"test {word}" for word in words]
    if not name.startswith("lab.workflows."):
        return words
    named = [each.value.value for each in call.keywords if each.arg == "name" and isinstance(each.value, ast.Constant)]
    return [*words[:1], *(map(str, named) if named else map(snake, words[:1]))]


def _starred(call: ast.Call) -> list[ast.expr]:
    return [each for each in call.args if isinstance(each, ast.Starred)]
