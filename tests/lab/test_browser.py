"""JupyterLab as `orderkit lab` starts it, in a real Chromium at 1280 x 720: what an attendee does, and sees.

One file, though long: its tests share one JupyterLab and one browser.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image
from playwright.sync_api import BrowserContext, Locator, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError
from support.axe import serious
from support.terminal import Terminal, processes_below, until

from orderkit.stack.jupyter import FIRST_NOTEBOOK
from orderkit.stack.lifecycle import down
from orderkit.stack.tcp_ports import another

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIETLY = "no-sandbox disable-gpu disable-quic no-first-run disable-sync disable-component-update"
FLAGS = [f"--{flag}" for flag in [*QUIETLY.split(), "disable-background-networking"]]
FLAGS += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]  # as if the workshop's Wi-Fi were down
PATIENCE_SECONDS = 60  # for a busy machine; on a quiet one nothing here takes 20

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the PATH"),
    pytest.mark.timeout(300),
]


@dataclass(frozen=True)
class Desk:
    """An attendee's laptop: a folder that was empty, `orderkit lab` in it, and a browser."""

    folder: Path
    jupyter: str
    token: str
    api: str
    browser: BrowserContext
    asked: list[str]  # the address of every request, of every page

    def open(self, notebook: str, state: str = "Idle") -> Page:
        """A new tab, once its kernel is in this state: whoever runs a cell earlier is asked to choose a kernel."""
        page = self.browser.new_page()
        page.on("websocket", lambda socket: self.asked.append(socket.url))
        page.goto(f"{self.jupyter}/lab/tree/{notebook}?reset&token={self.token}")
        page.locator("#jp-main-statusbar").get_by_text(re.compile(rf"\| ({state})$")).wait_for()
        return page

    def open_to_run(self, notebook: str) -> Page:
        """A new tab, after all its cells have run. Where JupyterLab and its kernel have missed each other: once more.

        That is JupyterLab's fault, and rare: its page then waits for ever for a kernel that is idle.
        """
        others = self.browser.pages
        for _ in range(2):
            try:
                page = self.open(notebook)
                run_all(page)
                return page
            except PlaywrightTimeoutError:
                for each in self.browser.pages:
                    if each not in others:
                        each.close()
                self.end_kernel_of(notebook)
        raise AssertionError(f"{notebook} did not run to its end, twice")

    def end_kernel_of(self, notebook: str) -> None:
        """As "Shut Down Kernel" does."""
        with httpx.Client(trust_env=False, base_url=self.jupyter, params={"token": self.token}) as http:
            for session in http.get("/api/sessions").json():
                if session["path"] == notebook:
                    http.delete(f"/api/sessions/{session['id']}")

    def kernel_of(self, notebook: str) -> dict[str, str]:
        """The server's own words about the kernel: id, execution_state …"""
        with httpx.Client(trust_env=False) as http:
            sessions = http.get(f"{self.jupyter}/api/sessions", params={"token": self.token}).json()
        [kernel] = [session["kernel"] for session in sessions if session["path"] == notebook]
        return dict(kernel)

    def processes(self) -> set[str]:
        """What runs for this lab; not PostgreSQL's own, which come and go with its clients."""
        return {line for line in processes_below(self.folder) if ": postgres: " not in line}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One for all tests here. Afterwards nothing of the lab runs."""
    folder = tmp_path_factory.mktemp("an empty folder")
    asked: list[str] = []
    try:
        with lab(folder) as said, sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            browser = chromium.new_context(viewport={"width": 1280, "height": 720})
            browser.set_default_timeout(PATIENCE_SECONDS * 1000)
            browser.on("request", lambda request: asked.append(request.url))
            yield Desk(folder, said["jupyter"], said["token"], said["api"], browser, asked)
            chromium.close()
        assert processes_below(folder) == []
    finally:
        down(folder / ".orderkit")


@contextmanager
def lab(folder: Path) -> Iterator[dict[str, str]]:
    """`orderkit lab` until the block ends, then Ctrl-C; gives the addresses that it prints."""
    log = folder / "lab.log"
    process = Terminal(folder).start("lab", "--no-browser", "--port", str(another({})), log=log)
    try:
        until(lambda: "Ctrl-C" in log.read_text() or process.poll() is not None, "JupyterLab is there", 120)
        pattern = r"api +(?P<api>http\S+)/docs.*JupyterLab: (?P<jupyter>http\S+)/lab/tree/(\S+)\?token=(?P<token>\S+)"
        said = re.search(pattern, log.read_text(), re.DOTALL)
        assert said, log.read_text()
        yield said.groupdict()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(5)


@pytest.fixture(scope="module")
def lesson(desk: Desk) -> Page:
    """A tab with the first lesson, run to its end."""
    return desk.open_to_run(FIRST_NOTEBOOK)


@pytest.fixture(scope="module")
def console(desk: Desk) -> Page:
    """A tab with the order console, run once."""
    cells = "from orderkit.lab import Lab\n\nlab = await Lab.start()\nlab", "console = await lab.console()\nconsole"
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata=kernel)
    nbformat.write(notebook, desk.folder / "notebooks" / "console.ipynb")
    page = desk.open_to_run("console.ipynb")
    page.locator(".okc").wait_for()
    return page


def choose(page: Page, menu: str, *items: str) -> None:
    """By the mouse, in JupyterLab's menus."""
    page.locator(".lm-MenuBar-itemLabel").get_by_text(menu, exact=True).click()
    for item in items:
        page.locator(".lm-Menu-itemLabel").get_by_text(item, exact=True).click()


# `[ ]:` was not run, `[*]:` waits or runs, `[3]:` has run.
PROMPTS = "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(prompt => prompt.textContent)"


def prompts(page: Page) -> list[str]:
    """Beside each cell with code."""
    return list(page.evaluate(PROMPTS))


def outputs(page: Page, kind: str) -> Locator:
    """The outputs of this MIME type, in the notebook's order."""
    return page.locator(f'.jp-CodeCell .jp-OutputArea-output[data-mime-type="{kind}"]')


def run_all(page: Page) -> None:
    """Run all cells; what is seen afterwards is this run's, without an error or a warning."""
    choose(page, "Edit", "Clear Outputs of All Cells")
    page.wait_for_function(PROMPTS + ".every(prompt => prompt === '[ ]:')", polling=200)
    choose(page, "Run", "Run All Cells")
    page.wait_for_function(PROMPTS + ".some(prompt => prompt !== '[ ]:')", polling=200)
    page.wait_for_function(PROMPTS + ".every(prompt => prompt !== '[*]:')", polling=200)
    assert troubles(page) == []
    assert "[ ]:" not in prompts(page)


def troubles(page: Page) -> list[str]:
    """Tracebacks and warnings."""
    kinds = ("application/vnd.jupyter.error", "application/vnd.jupyter.stderr")
    return [text for kind in kinds for text in outputs(page, kind).all_text_contents()]


def run_cell(page: Page, having: str, code: str = "") -> Locator:
    """Run the cell that has this in its code, after writing other code into it, if any; gives the cell.

    Where the page was too busy to hear the keys, they are pressed once more.
    """
    cell = page.locator(".jp-CodeCell", has=page.locator(".cm-content", has_text=having))
    if code:
        cell.locator(".cm-content").click()
        page.keyboard.press("Control+A")
        page.keyboard.insert_text(code)
        cell = page.locator(".jp-CodeCell", has=page.locator(".cm-content", has_text=code.splitlines()[0]))
    prompt = cell.locator(".jp-InputPrompt")
    before = prompt.inner_text()
    for _ in range(2):
        cell.locator(".cm-content").click()
        page.keyboard.press("Shift+Enter")
        with suppress(AssertionError):
            expect(prompt).not_to_have_text(before, timeout=PATIENCE_SECONDS * 500)
            return cell
    raise AssertionError(f"the cell does not run; beside the cells: {prompts(page)}")


def keep_picture(page: Page, name: str, folder: Path) -> None:
    """The page as a PNG of 256 colours: a third of the bytes, and nobody sees the difference."""
    page.mouse.move(640, 710)  # what it rests on looks different
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture = picture.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=8)
    picture.save(Path(os.environ.get("ORDERKIT_SCREENSHOTS", folder)) / f"{name}.png", optimize=True)


def start_order(page: Page, order_id: str, policy: str = "spec", script: str = "", review: str = "auto") -> None:
    """In the console's form, by the mouse and the keyboard; until the console shows it."""
    for name, text in (("order id", order_id), ("or a script", script)):
        field(page, name).locator("input").fill(text)
    for name, option in (("policy", policy), ("review", review)):
        field(page, name).locator("select").select_option(option)
    page.get_by_role("button", name="Start", exact=True).click()
    title(page, order_id).wait_for()


def field(page: Page, name: str) -> Locator:
    """The form's box that has this label."""
    return page.locator(".okc .okc-field", has=page.locator("label").get_by_text(name, exact=True))


def title(page: Page, order_id: str) -> Locator:
    """What the panel on the right says of this order: the first lines."""
    return page.locator(".okc-lines").filter(has=page.locator(".okc-title").get_by_text(order_id, exact=True))


def test_first_lesson_runs_to_its_end(lesson: Page, tmp_path: Path) -> None:
    shown = prompts(lesson)
    assert shown == [f"[{number}]:" for number in range(1, len(shown) + 1)]
    cards = outputs(lesson, "text/html").all_text_contents()
    for words in (
        ("Order tea", "shipped", "review ✔", "payment: charged, 50.90"),
        ("Order pot", "shipped", "charge ☠✔"),
        ("✔ 3 orders audited: history, tables and ledgers agree",),
    ):
        assert [card for card in cards if all(word in card for word in words)]
    charts = outputs(lesson, "image/png").locator("img[src^='data:image/png']")
    assert charts.count() == 2
    for chart in charts.all():
        chart.scroll_into_view_if_needed()
        drawn, shown, cell = chart.evaluate("img => [img.naturalWidth, img.width, img.closest('.jp-Cell').clientWidth]")
        assert drawn >= shown
        assert cell > shown > cell / 2
    said = [chart.get_attribute("alt") or "" for chart in charts.all()]
    assert re.match("Order tea, step by step: receive, .* completed at the first attempt; shipped after ", said[0])
    assert "charge was lost, then completed" in said[1]
    charts.last.evaluate("img => img.closest('.jp-Cell').scrollIntoView({block: 'start'})")
    keep_picture(lesson, "lesson", tmp_path)


def test_prediction_is_remembered_and_its_explanation_opens(desk: Desk, lesson: Page) -> None:
    row = lesson.locator(".jp-CodeCell", has=lesson.locator(".cm-content", has_text="predictions.ask(1)"))
    row.scroll_into_view_if_needed()
    row.get_by_role("button", name="b", exact=True).click()
    expect(row).to_contain_text("You predict b")
    remembered = desk.folder / ".orderkit" / "predictions" / "00.json"
    assert json.loads(remembered.read_text()) == {"1": "b"}
    explanation = lesson.locator(".jp-MarkdownCell details").first
    expect(explanation.get_by_text("a timer approves")).not_to_be_visible()
    explanation.locator("summary").click()
    expect(explanation.get_by_text("a timer approves")).to_be_visible()


def test_a_click_on_a_prediction_leaves_the_next_cell_to_be_run(lesson: Page) -> None:
    asked = run_cell(lesson, "predictions.ask(2)")
    number = asked.locator(".jp-InputPrompt").inner_text()
    row = asked.get_by_role("button", name="c", exact=True)
    row.click()
    expect(asked).to_contain_text("You predict c")
    lesson.keyboard.press("Shift+Enter")
    below = lesson.locator(".jp-CodeCell", has=lesson.locator(".cm-content", has_text='orders.attempts("tea")'))
    expect(below.first.locator(".jp-InputPrompt")).to_have_text(f"[{int(number.strip('[]:')) + 1}]:")
    assert asked.locator(".jp-InputPrompt").inner_text() == number


def test_console_shows_an_order_from_its_form_to_shipped(console: Page) -> None:
    before = prompts(console)
    start_order(console, "lamp-1", policy="budget", script="charge=error,hang,ok", review="none")
    title(console, "lamp-1").get_by_text("✔ charged once").wait_for()
    title(console, "lamp-1").locator(".okc-badge").get_by_text("shipped").wait_for()
    console.locator(".okc-timeline").get_by_text("charge ×3").wait_for()
    console.locator(".okc-pick", has_text="lamp-1").get_by_text("shipped").wait_for()
    assert prompts(console) == before  # pushed: no cell was run for it


def test_console_cancels_an_order_that_a_person_reviews(console: Page) -> None:
    before = prompts(console)
    start_order(console, "lamp-2", review="human")
    title(console, "lamp-2").get_by_text("waits for a yes or a no").wait_for()
    console.get_by_placeholder("reason or note").fill("wrong colour")
    console.get_by_role("button", name="Cancel order").click()
    title(console, "lamp-2").locator(".okc-badge").get_by_text("cancelled").wait_for()
    title(console, "lamp-2").get_by_text("why: wrong colour (you)").wait_for()
    console.locator(".okc-pick", has_text="lamp-2").get_by_text("cancelled").wait_for()
    assert prompts(console) == before


# Every box and button of the console that is wider than its cell, or holds more than it can show.
TOO_WIDE = """() => {
  const cell = document.querySelector('.okc').closest('.jp-OutputArea-output');
  const right = cell.getBoundingClientRect().right;
  return [cell, ...cell.querySelectorAll('.okc, .okc .widget-box, .okc button')]
    .filter(box => box.getBoundingClientRect().right > right || box.scrollWidth > box.clientWidth)
    .map(box => `${box.className}: ${box.scrollWidth} in ${box.clientWidth}: ${box.textContent.slice(0, 40)}`);
}"""


def test_console_fits_its_cell_in_both_themes(console: Page, tmp_path: Path) -> None:
    field(console, "deadline, s").locator("input").fill("60")
    start_order(console, "lamp-3", policy="budget", script="receive=error,ok; validate=hang,error,ok", review="human")
    title(console, "lamp-3").get_by_text("waits for a yes or a no").wait_for()
    for picture, theme in {"console-dark": "JupyterLab Dark", "console": "JupyterLab Light"}.items():
        choose(console, "Settings", "Theme", theme)
        console.locator(f'body[data-jp-theme-name="{theme}"]').wait_for(state="attached")
        console.locator("#jupyterlab-splash").wait_for(state="detached")
        console.locator(".okc").evaluate("panel => panel.closest('.jp-Cell').scrollIntoView({block: 'end'})")
        keep_picture(console, picture, tmp_path)
        assert console.evaluate(TOO_WIDE) == []
        assert serious(console, ".okc") == []
        height = console.locator(".okc").evaluate("panel => panel.offsetHeight")
        assert height < console.locator(".jp-WindowedPanel-outer").evaluate("notebook => notebook.clientHeight")


# What has the focus, as a screen reader names it; null outside of the console.
FOCUSED = """() => {
  const here = document.activeElement;
  if (!here.closest('.okc')) return null;
  return (here.labels?.[0] ?? here).innerText.trim();
}"""
FORM = ["order id", "policy", "faults", "or a script", "seed", "review"]
FORM += ["deadline, s", "Start", "Start 20", "Kill worker", "Stop workers", "Start worker"]
PANEL = ["the order; arrow keys scroll", "who asks; kept with the order", "reason or note"]
PANEL += ["how it is sent; an update is answered: accepted, or refused and why; a signal is only sent"]
PANEL += ["street", "city", "state", "zip", "✔ Approve", "✖ Reject", "Cancel order", "Change address"]


def test_console_is_walked_by_the_tab_key_alone(console: Page) -> None:
    """In the order that is seen, the newest order first; then back to another order, and a decision on it."""
    rows = console.locator(".okc-pick button").all()
    rows.sort(key=lambda row: row.evaluate("row => row.getBoundingClientRect().top"))
    orders = [row.inner_text() for row in rows]
    assert orders[:3] == ["lamp-3", "lamp-2", "lamp-1"]
    walk = [*FORM, *orders, *PANEL]
    field(console, "order id").locator("input").focus()
    walked: list[str] = []
    while (here := console.evaluate(FOCUSED)) and len(walked) < 2 * len(walk):
        walked.append(here)
        console.keyboard.press("Tab")
    assert walked == walk
    field(console, "order id").locator("input").focus()
    for key, presses in (("Tab", walk.index("lamp-1")), ("Enter", 1)):
        for _ in range(presses):
            console.keyboard.press(key)
    console.get_by_role("alert").get_by_text("lamp-1 has ended: shipped").wait_for(state="attached")
    console.get_by_role("button", name="lamp-1").and_(console.get_by_title("lamp-1 is selected")).wait_for()
    for key, presses in (("Shift+Tab", 2), ("Space", 1), ("Tab", walk.index("✖ Reject") - walk.index("lamp-3"))):
        for _ in range(presses):
            console.keyboard.press(key)
    console.keyboard.press("Enter")
    console.get_by_role("alert").get_by_text("lamp-3 has ended: cancelled").wait_for(state="attached")


def test_console_says_its_pictures_to_a_screen_reader(console: Page) -> None:
    console.get_by_role("img", name="Order lamp-3, step by step: receive failed, then completed; ").wait_for()
    chip = console.get_by_role("img", name="receive: 2 attempts, the last one completed")
    assert chip.filter(has_text="✔2").count() == 1


def test_lesson_goes_on_after_its_tab_was_closed_in_the_middle_of_a_run(desk: Desk, lesson: Page) -> None:
    kernel = desk.kernel_of(FIRST_NOTEBOOK)["id"]
    start = 'await lab.orders.start("vase", review="human", deadline=600)\nawait lab.orders.wait("vase", 300)'
    run_cell(lesson, "# your code here", start)
    with httpx.Client(base_url=f"{desk.api}/orders/vase", trust_env=False) as vase:
        until(lambda: vase.get("/status").json().get("state") == "in_review", "vase is in review", PATIENCE_SECONDS)
        lesson.close()
        page = desk.open(FIRST_NOTEBOOK, "Busy|Unknown")  # so JupyterLab says of a kernel that is too busy to answer
        assert desk.kernel_of(FIRST_NOTEBOOK)["execution_state"] == "busy"
        assert vase.post("/signals/approve", json={"reviewer": "grace"}).is_success
    page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for()
    choose(page, "Edit", "Clear Outputs of All Cells")
    tea = run_cell(page, 'lab.orders.wait("tea")')
    # `lab` and its orders are still there.
    expect(tea).to_contain_text("payment: charged, 50.90", timeout=PATIENCE_SECONDS * 1000)
    assert troubles(page) == []
    assert desk.kernel_of(FIRST_NOTEBOOK)["id"] == kernel
    page.close()


def test_restarted_kernel_leaves_nothing_behind(desk: Desk, console: Page) -> None:
    before = desk.processes()
    choose(console, "Kernel", "Restart Kernel…")
    console.get_by_role("button", name="Confirm Kernel Restart").click()
    until(lambda: desk.processes() - before, "another kernel", PATIENCE_SECONDS)
    console.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for()
    run_all(console)
    console.locator(".okc").wait_for()
    until(lambda: len(desk.processes()) == len(before), "as many processes as before", PATIENCE_SECONDS)
    changed = desk.processes() ^ before
    assert len(changed) == 2
    assert all("ipykernel" in process for process in changed)


def test_no_request_leaves_the_machine(desk: Desk, console: Page) -> None:
    """Of all pages here; the last test, so that it sees them all."""
    addresses = [urlsplit(url) for url in desk.asked]
    assert {"http", "ws"} <= {address.scheme for address in addresses}
    sent = [address for address in addresses if address.scheme not in ("data", "blob")]
    assert [address for address in sent if address.hostname not in ("127.0.0.1", "localhost")] == []
