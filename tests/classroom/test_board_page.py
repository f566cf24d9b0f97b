"""The instructor's page in a real Chromium: it shows the class as it is, and axe finds nothing serious on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from lab.test_browser import CHROMIUM, FLAGS
from playwright.sync_api import Browser, Page, expect, sync_playwright
from support.boards import OpenBoard, bearer, opened_class
from support.terminal import BIN, Terminal

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the PATH"),
    pytest.mark.timeout(180),
]
VOTES = {"Ada": "a", "Bob": "b", "Çağla": "b", "Zoë O'Neil": ""}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def learn(board: OpenBoard) -> None:
    """Four learners in round 2, of whom three have voted and one is stuck."""
    with httpx.Client(base_url=f"http://127.0.0.1:{board.port}", trust_env=False) as http:
        for name, choice in VOTES.items():
            seat = bearer(http.post("/join", json={"name": name}, headers=bearer(board.word)).json()["seat"])
            news = [{}, {"prediction": choice}] if choice else [{}, {"verdict": "expired"}]
            for each in ({"round": "1"}, *({"round": "2"} | every for every in news)):
                answer = http.post("/news", json={"lesson": "03"} | each, headers=seat)
                assert answer.status_code == 204, answer.text


def open_page(browser: Browser, board: OpenBoard, width: int = 1280, scheme: str = "light") -> Page:
    page = browser.new_page(
        viewport={"width": width, "height": 720},
        color_scheme="dark" if scheme == "dark" else "light",
        bypass_csp=True,  # axe runs in it
    )
    page.set_default_timeout(20_000)
    page.goto(board.page_url)
    page.locator(".place").first.wait_for()
    return page


def test_the_instructors_page(browser: Browser, tmp_path: Path) -> None:
    with opened_class(tmp_path) as board:
        learn(board)
        page = open_page(browser, board)
        assert "token" not in page.url
        expect(page.get_by_text(f'await lab.join("{board.invitation}", name="…")')).to_be_visible()
        expect(page.locator("#places h3")).to_have_text("03, round 2: 4, 3 voted")
        expect(page.locator("#places .name")).to_have_text(["Ada", "Bob", "Çağla", "Zoë O'Neil"])
        expect(page.locator("#stuck li")).to_have_text("Zoë O'Neila wait gave up03, round 2")
        expect(page.locator("#times tr")).to_have_text("03, round 13.00.04")

        expect(page.locator("#voted")).to_have_text("3 of 4 have voted; hidden until you show them")
        expect(page.locator(".bar")).to_have_count(0)
        page.get_by_role("button", name="Show the votes").click()
        expect(page.locator(".bar")).to_have_text(["a1", "b2", "c0"])

        page.get_by_label("lesson").select_option("05")
        page.get_by_label("round", exact=True).select_option("2")
        page.get_by_role("button", name="Say it").press("Enter")
        expect(page.locator("#line")).to_have_text("Last: The instructor asks all to go to lesson 05, round 2.")

        for width, scheme in ((1280, "light"), (1280, "dark"), (390, "light")):
            other = open_page(browser, board, width, scheme)
            expect(other.locator(".bar")).to_have_count(3)
            assert other.evaluate("document.documentElement.scrollWidth") <= width  # nothing to scroll sideways
            found = Axe().run(other).response["violations"]
            serious = [each["id"] for each in found if each["impact"] in ("serious", "critical")]
            assert serious == [], (width, scheme)
            other.close()

        page.get_by_text("Remove somebody").click()
        page.get_by_label("Name").select_option("Zoë O'Neil")
        page.get_by_role("button", name="Remove", exact=True).click()
        expect(page.locator("#places .name")).to_have_count(3)
    expect(page.locator("#said")).to_contain_text("the board does not answer")
    with opened_class(tmp_path, port=board.port):
        expect(page.locator("#said")).to_have_text("")
        expect(page.locator("#places .name")).to_have_count(3)
    page.close()

    terminal = Terminal(tmp_path, {"ORDERKIT_HOME": str(tmp_path / ".orderkit")}, BIN / "orderkit")
    rows = terminal.answer("class", "times")
    assert [(row["lesson"], row["round"], row["learners"]) for row in rows] == [("03", "1", 3)]
    assert json.dumps(rows[0]["planned_minutes"]) == "3.0"
