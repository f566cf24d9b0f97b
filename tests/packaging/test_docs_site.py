"""The documentation site as `make docs` builds it: whole, without a broken link, and with every public name in it."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer.main
from lab.test_browser import CHROMIUM, FLAGS
from playwright.sync_api import sync_playwright
from support.axe import serious
from support.site import ELSEWHERE, Page, broken, read_site

import orderkit.analysis.style
import orderkit.console.console
import orderkit.lab.charts
import orderkit.lab.display
import orderkit.lab.frame
import orderkit.lab.lab
import orderkit.lab.load
import orderkit.lab.orders
import orderkit.lab.tests
import orderkit.lab.workflows
import orderkit.stack.controls
from orderkit import errors, lab
from orderkit.cli import app
from orderkit.core.events import EventType
from orderkit.settings import Settings
from orderkit.store.database import Pool

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted([*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("notebooks/solutions/*.ipynb")])
# Where the classes are that a notebook gets from `Lab`.
HANDED_OUT: list[ModuleType] = [
    orderkit.analysis.style,
    orderkit.console.console,
    orderkit.lab.charts,
    orderkit.lab.display,
    orderkit.lab.frame,
    orderkit.lab.lab,
    orderkit.lab.load,
    orderkit.lab.orders,
    orderkit.lab.tests,
    orderkit.lab.workflows,
    orderkit.stack.controls,
]

# Where people import from, in place of where it is written.
SHOWN_AS = {
    "orderkit.lab.lab": "orderkit.lab",
    "orderkit.lab.display.source": "orderkit.lab.source",
    "orderkit.console.console": "orderkit.console",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by the command of the Makefile, but elsewhere; a warning is an error."""
    made = tmp_path_factory.mktemp("site")
    recipe = re.search(r"^docs:.*\n\t@\$\(BIN\)/sphinx-build (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    options = recipe[1].replace("build/docs", str(made)).split()
    done = subprocess.run([sys.executable, "-m", "sphinx", *options], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return made / "html"


@pytest.fixture(scope="module")
def site(folder: Path) -> dict[Path, Page]:
    return read_site(folder)


@pytest.fixture
def reference(site: dict[Path, Page], folder: Path) -> dict[str, Page]:
    """The pages of the reference, by name."""
    return {path.stem: page for path, page in site.items() if path.parent == folder / "docs" / "reference"}


def anchor(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def undocumented(rows: dict[str, list[str]], names: list[str]) -> list[str]:
    """Those that have no row, or nothing in its last cell."""
    assert len(names) > 5
    return [name for name in names if not (cells := rows.get(anchor(name))) or not cells[-1]]


@pytest.mark.timeout(300)  # the first test builds the site: 17 s of processor time
def test_every_page_and_lesson_is_there(folder: Path) -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *NOTEBOOKS]
    assert len(pages) > 50
    missing = [path for path in pages if not (folder / path.relative_to(ROOT)).with_suffix(".html").is_file()]
    assert not missing
    assert 'url=docs/index.html"' in (folder / "index.html").read_text()


def test_no_link_leads_nowhere(site: dict[Path, Page], folder: Path) -> None:
    assert sum(len(page.links) for page in site.values()) > 1000
    assert {str(page.relative_to(folder)): found for page in site if (found := broken(site, page))} == {}


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<h1 id="one"><a href="b.html#two">fine</a> <a href="#one">too</a></h1>')
    (tmp_path / "b.html").write_text(
        '<p id="two"><a href="a.html#two">anchor</a><a href="c.html">page</a><img src="d.png">'
    )
    site = read_site(tmp_path)
    assert broken(site, tmp_path / "a.html") == []
    assert broken(site, tmp_path / "b.html") == ["a.html#two", "c.html", "d.png"]


def test_every_picture_says_what_it_shows(site: dict[Path, Page], folder: Path) -> None:
    pictures = [(str(path.relative_to(folder)), *picture) for path, page in site.items() for picture in page.pictures]
    assert len(pictures) > 20
    assert [where for where in pictures if len(where[2]) < 20] == []


# One of each kind.
PAGES = ["docs/index", "notebooks/00_start_here", "docs/how-to/teaching", "docs/reference/lab", "docs/decisions/cells"]


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the PATH")
def test_axe_finds_nothing_serious(folder: Path) -> None:
    found: dict[str, list[str]] = {}
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for scheme in ("light", "dark"):
            context = chromium.new_context(color_scheme=scheme, reduced_motion="reduce")
            for name in PAGES:
                page = context.new_page()
                page.goto((folder / f"{name}.html").as_uri())
                found[f"{name}, {scheme}"] = serious(page)
                page.close()
        chromium.close()
    assert {where: what for where, what in found.items() if what} == {}


def test_nothing_is_loaded_from_elsewhere(site: dict[Path, Page]) -> None:
    loads = {address for page in site.values() for address in page.loads}
    assert len(loads) > 10
    assert [address for address in loads if ELSEWHERE.match(address) and not address.startswith("data:")] == []


def test_lessons_have_the_charts_of_their_stored_outputs_and_their_words(site: dict[Path, Page], folder: Path) -> None:
    assert len(NOTEBOOKS) > 10
    for path in NOTEBOOKS:
        cells = json.loads(path.read_text())["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        charts = [output["metadata"] for output in outputs if "image/png" in output.get("data", {})]
        page = site[(folder / path.relative_to(ROOT)).with_suffix(".html")]
        assert [alt for _, alt in page.pictures] == [each["image/png"]["alt"] for each in charts], path.name


def test_lessons_fold_their_explanations_and_have_no_buttons(folder: Path) -> None:
    for path in NOTEBOOKS:
        source = path.read_text()
        page = (folder / path.relative_to(ROOT)).with_suffix(".html").read_text()
        assert page.count("<summary><b>Explain</b></summary>") == source.count("<summary><b>Explain</b></summary>")
        assert "predictions.ask" not in re.sub(r"<[^>]+>", "", page)


def test_every_setting_is_documented(reference: dict[str, Page]) -> None:
    names = [f"ORDERKIT_{name}".upper() for name in Settings.model_fields]
    assert undocumented(reference["settings"].rows, names) == []


def test_every_command_and_option_is_documented(reference: dict[str, Page]) -> None:
    page = reference["commands"]
    names = []
    for command, parameters in _commands("orderkit", typer.main.get_command(app)):
        assert anchor(command) in page.anchors, command
        for each in parameters:
            words = [each.name.upper()] if each.param_type_name == "argument" else [*each.opts, *each.secondary_opts]
            names.append(f"{command} {' '.join(words)}")
    assert undocumented(page.rows, names) == []


def _commands(name: str, command: Any) -> Iterator[tuple[str, list[Any]]]:
    """Each command by its whole name, with its arguments and options."""
    if hasattr(command, "commands"):
        for word, inner in command.commands.items():
            yield from _commands(f"{name} {word}", inner)
    else:
        yield name, [each for each in command.params if each.name != "help"]


def test_every_event_type_is_documented(reference: dict[str, Page]) -> None:
    assert undocumented(reference["events"].rows, [f"event {event}" for event in EventType]) == []


async def test_every_table_view_and_column_is_documented(reference: dict[str, Page], pool: Pool) -> None:
    rows = await pool.fetch("SELECT table_schema, table_name, column_name FROM information_schema.columns")
    prefixes = {"public": "", "world": "world."}
    names = [
        f"{prefixes[schema]}{table}.{column}"
        for schema, table, column in rows
        if schema in prefixes and not table.startswith("_pogo")
    ]
    assert len(names) > 80
    assert undocumented(reference["tables"].rows, names) == []


def test_every_public_name_of_the_lab_is_documented(reference: dict[str, Page]) -> None:
    names = list(_handed_out())
    assert len(names) > 60
    assert [name for name in names if not reference["lab"].entries.get(name)] == []


def _handed_out() -> Iterator[str]:
    """What `orderkit.lab` offers, and what comes out of it: classes, methods, properties, attributes."""
    known = {cls.__name__: cls for module in HANDED_OUT for cls in _classes(module)}
    todo = [getattr(lab, name) for name in lab.__all__]
    seen: list[Any] = []
    while todo:
        thing = todo.pop()
        if thing in seen:
            continue
        seen.append(thing)
        name = f"{thing.__module__}.{thing.__qualname__}"
        for module, shown in SHOWN_AS.items():
            name = re.sub(f"^{re.escape(module)}\\b", shown, name)
        yield name
        if not inspect.isclass(thing):
            todo += _named(known, _returned(thing))
            continue
        members = {word: member for word, member in vars(thing).items() if _is_own(thing, word)}
        made = dict(re.findall(r"self\.([a-z]\w*) = (\w+)", inspect.getsource(thing)))
        fields = [word for word in inspect.get_annotations(thing) if _is_own(thing, word)]
        yield from (f"{name}.{word}" for word in {*members, *made, *fields})
        todo += _named(known, " ".join([*(_returned(member) for member in members.values()), *made.values()]))


def _is_own(cls: type, word: str) -> bool:
    """Public, and not from a library's class."""
    return not word.startswith("_") and not any(hasattr(base, word) for base in cls.__bases__)


def _named(known: dict[str, type], text: str) -> list[type]:
    return [known[word] for word in sorted(set(re.findall(r"\w+", text)) & known.keys())]


def _classes(module: ModuleType) -> list[type]:
    return [cls for _, cls in inspect.getmembers(module, inspect.isclass) if cls.__module__ == module.__name__]


def _returned(member: Any) -> str:
    """The annotation of what a method returns, or of a property."""
    function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
    return str(getattr(function, "__annotations__", {}).get("return", ""))


def test_every_error_is_documented(reference: dict[str, Page]) -> None:
    told = {f"orderkit.errors.{cls.__name__}": cls.__doc__ for cls in _classes(errors) if issubclass(cls, Exception)}
    assert len(told) > 10
    entries = reference["errors"].entries
    # Each with a sentence of its own: the page names the base of an error that has none.
    assert [name for name, text in told.items() if not text or _letters(text) not in _letters(entries[name])] == []


def _letters(text: str) -> str:
    """The first line without blanks and marks, which the page has its own way with."""
    return re.sub(r"\W", "", text.partition("\n")[0])
