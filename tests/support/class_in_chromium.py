"""Five notebooks of one class in JupyterLab and Chromium: `PYTHONPATH=tests python -m support.class_in_chromium`.

Each notebook is a learner of its own. They join, predict by a click, hear the instructor's line, and go on when the
board has been killed. Everything that they send is read. No part of `make test`: two kernels without a browser are, in
tests/classroom/test_notebook_in_class.py. Takes a minute; pictures of the board and a notebook go to build/class.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from lab.test_browser import CHROMIUM, FLAGS
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright
from support.boards import OpenBoard, Wire, opened_class, requests_of
from support.terminal import BIN, ours, until

from orderkit.stack.tcp_ports import another

PICTURES = Path(__file__).parents[2] / "build" / "class"
SENT = {"name", "lesson", "round", "prediction", "verdict"}
LINE = "The instructor asks all to go to lesson 05, round 2."
LAST_CELL = "print('cell', 1 + 1)"
FIRST_CELL = """
import os
os.environ["ORDERKIT_HOME"] = {home!r}
from orderkit.lab import Lab
from orderkit.lab.interrupts import make_interruptible
from orderkit.lessons.predictions import Predictions
from orderkit.stack.target import Target
make_interruptible()  # as Lab.start does
lab = Lab(Target.from_environment())  # no servers: nothing here needs one
predictions = Predictions(lab.home, "03")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Notebooks of one class in Chromium.")
    parser.add_argument("--notebooks", type=int, default=5)
    count: int = parser.parse_args().notebooks
    names = [f"Learner {number}" for number in range(1, count + 1)]
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made, opened_class(Path(made)) as board, Wire(board.port) as wire:
        folder = Path(made)
        for name in names:
            write_notebook(folder, name, f"{board.word}@127.0.0.1:{wire.port}")
        with jupyterlab(folder) as address, sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            browser = chromium.new_context(viewport={"width": 1280, "height": 720})
            browser.set_default_timeout(90_000)
            attend(browser, board, {name: open_and_run(browser, address, name) for name in names})
            chromium.close()
        bodies = [json.loads(body) for each in wire.sent for _, _, body in requests_of(bytes(each)) if body]
        keys = {key for body in bodies for key in body}
        assert keys <= SENT, keys
    say(f"{len(bodies)} messages of {count} notebooks had these keys: {', '.join(sorted(keys))}")


def attend(browser: BrowserContext, board: OpenBoard, pages: dict[str, Page]) -> None:
    """What a class does, with its instructor."""
    page = browser.new_page()
    page.goto(board.page_url)
    expect(page.locator("#count")).to_have_text(f"{len(pages)} of {len(pages)} connected")
    expect(page.locator("#places .name")).to_have_text(list(pages))
    for number, notebook in enumerate(pages.values()):
        predict(notebook, "abbcb"[number % 5])
    expect(page.locator("#voted")).to_contain_text(f"{len(pages)} of {len(pages)} have voted; hidden")
    page.get_by_role("button", name="Show the votes").click()
    expect(page.locator(".bar")).to_have_count(3)
    page.get_by_label("lesson").select_option("05")
    page.get_by_label("round", exact=True).select_option("2")
    page.get_by_role("button", name="Say it").click()
    expect(page.locator("#line")).to_contain_text(LINE)
    for notebook in pages.values():
        until_line(notebook)
    page.screenshot(path=PICTURES / "board.png")
    next(iter(pages.values())).screenshot(path=PICTURES / "notebook.png")
    board.process.kill()
    board.process.wait(5)
    for name, notebook in pages.items():
        begin = time.monotonic()
        run_last(notebook)
        expect(notebook.get_by_text(LINE)).to_have_count(0)
        predict(notebook, "c")
        assert not notebook.get_by_text("Traceback").count()
        say(f"{name}: a cell and a click after the board's death took {time.monotonic() - begin:.1f} s")


def write_notebook(folder: Path, name: str, invitation: str) -> None:
    cells = [
        FIRST_CELL.format(home=str(folder / f"lab of {name}")).strip(),
        f'await lab.join("{invitation}", name="{name}")',
        "predictions.ask(2)",
        LAST_CELL,
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata={"kernelspec": kernel})
    nbformat.write(notebook, folder / f"{name}.ipynb")


@contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """Its address, until the block ends."""
    port = another({})
    command = [str(BIN / "jupyter"), "lab", "--no-browser", "--ip=127.0.0.1", f"--port={port}", "--allow-root"]
    command += ["--ServerApp.port_retries=0", "--IdentityProvider.token=T", "--LabApp.news_url=None"]
    own = {name: str(folder / name) for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")}
    log = folder / "jupyter.log"
    with log.open("wb") as written:
        process = subprocess.Popen(command, cwd=folder, stdout=written, stderr=written, env=ours() | own)
    try:
        until(lambda: "http://127.0.0.1" in log.read_text() or process.poll() is not None, "JupyterLab is there", 90)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def open_and_run(browser: BrowserContext, address: str, name: str) -> Page:
    page = browser.new_page()
    page.goto(f"{address}/lab/tree/{name}.ipynb?reset&token=T")
    page.locator("#jp-main-statusbar").get_by_text(re.compile(r"\| Idle$")).wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.get_by_text("cell 2").wait_for()
    return page


def predict(notebook: Page, choice: str) -> None:
    notebook.locator("button", has_text=re.compile(f"^{choice}$")).click()
    notebook.get_by_text(f"You predict {choice}").wait_for()


def run_last(notebook: Page) -> None:
    notebook.get_by_text(LAST_CELL).first.click()
    notebook.keyboard.press("Control+Enter")


def until_line(notebook: Page) -> None:
    """The line is on its way: run the cell until it is below."""
    for _ in range(10):
        run_last(notebook)
        try:
            expect(notebook.get_by_text(LINE)).to_have_count(1, timeout=3_000)
            return
        except AssertionError:
            continue
    raise AssertionError("the instructor's line has not come")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
