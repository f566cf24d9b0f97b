"""`orderkit demo --stage` in a real Chromium: what a room sees on the beamer, from the first chapter to the audit."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from lab.test_browser import CHROMIUM, FLAGS
from playwright.sync_api import Browser, Page, expect, sync_playwright
from support.axe import serious
from support.stages import story_on_stage

OUTAGE_SECONDS = 3
PATIENCE_SECONDS = 90
SIZES = {"720": (1280, 720), "1080": (1920, 1080)}

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the PATH"),
    pytest.mark.timeout(300),
]


@dataclass(frozen=True)
class Room:
    """The page's address with its token, and a browser."""

    url: str
    browser: Browser

    def open(self, size: str = "720", scheme: str = "light", *, examine: bool = False) -> Page:
        """A page that knows its token; `examine`: scripts of the test may run in it."""
        width, height = SIZES[size]
        page = self.browser.new_page(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
            reduced_motion="reduce",
            bypass_csp=examine,
        )
        page.set_default_timeout(PATIENCE_SECONDS * 1000)
        page.goto(self.url)
        page.locator(".program").nth(3).wait_for()
        return page


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with story_on_stage(tmp_path_factory.mktemp("room"), OUTAGE_SECONDS) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield Room(url, browser)
        browser.close()


def tell(page: Page, chapter: int, said: str) -> None:
    """The next chapter by its key, until it has ended like this."""
    page.keyboard.press("ArrowRight")
    expect(page.locator(f'body[data-chapter="{chapter}"][data-runs="false"]')).to_be_attached(
        timeout=PATIENCE_SECONDS * 1000
    )
    expect(page.get_by_role("status")).to_contain_text(said, timeout=3_000)  # deaths of before do not hide it


# What is beyond the page's edge.
TOO_FAR = """[...document.querySelectorAll('header *, footer *, #legend, .lane')]
  .filter(each => each.getBoundingClientRect().right > innerWidth || each.getBoundingClientRect().bottom > innerHeight)
  .map(each => each.outerHTML.slice(0, 80))"""


def pid_of(page: Page, program: str) -> int:
    words = page.locator(f'[data-program="{program}"] small').inner_text()
    found = re.search(r"pid (\d+)", words)
    assert found, words
    return int(found[1])


def test_the_story_from_its_first_chapter_to_a_clean_audit(room: Room, tmp_path: Path) -> None:
    page = room.open()
    assert "token" not in page.url
    tell(page, 1, "shipped")
    marks = page.locator('[data-order="tea"] .mark')
    assert marks.all_inner_texts() == ["✖", "◷", "✔"]
    page.keyboard.press("ArrowRight")
    page.locator('[data-order="pot"].card.dead').wait_for()
    expect(page.locator(".program.dead")).to_contain_text("☠")
    tell_ended(page, 2)
    expect(page.get_by_role("status")).to_contain_text("shipped", timeout=3_000)
    assert page.locator('[data-order="pot"] .mark').all_inner_texts() == ["☠", "✔"]
    page.keyboard.press("ArrowRight")
    page.locator('input[name="payments"][value="down"]:checked').wait_for()
    expect(page.locator("#balance")).to_contain_text("under way")
    tell_ended(page, 3)
    expect(page.locator('[data-lane="shipped"] h2')).to_contain_text("32")
    tell(page, 4, "5 shipped")
    tell(page, 5, "✔ 37 orders, 0 findings")
    assert page.locator("#balance").inner_text() == "taken 37, shipped 37 ✔"
    for size, scheme in (("720", "dark"), ("1080", "light")):
        other = room.open(size, scheme, examine=True)
        assert other.evaluate(TOO_FAR) == []
        folder = Path(os.environ.get("ORDERKIT_SCREENSHOTS", tmp_path))
        other.screenshot(path=folder / f"stage-{size}-{scheme}.png")
        assert serious(other) == []
        other.close()
    page.close()


def tell_ended(page: Page, chapter: int) -> None:
    expect(page.locator(f'body[data-chapter="{chapter}"][data-runs="false"]')).to_be_attached(
        timeout=PATIENCE_SECONDS * 1000
    )


def test_a_worker_killed_by_hand_is_on_the_page_within_a_second(room: Room) -> None:
    page = room.open()
    expect(page.locator(".program.dead")).to_have_count(0)
    pid = pid_of(page, "worker-0")
    os.kill(pid, signal.SIGKILL)
    begin = time.monotonic()
    page.get_by_text(f"☠ worker-0 (pid {pid}) died").wait_for()
    assert time.monotonic() - begin < 1
    page.close()


def test_keys_alone_switch_kill_and_start(room: Room) -> None:
    page = room.open()
    page.keyboard.press("c")
    page.locator('input[name="carrier"][value="slow"]:checked').wait_for()
    page.locator('input[name="carrier"][value="slow"]').focus()
    page.keyboard.press("ArrowLeft")
    page.locator('input[name="carrier"][value="up"]:checked').wait_for()
    page.keyboard.press("o")
    page.locator('[data-lane="shipped"] [data-order="cup-31"]').wait_for()
    before = pid_of(page, "api")
    page.get_by_role("button", name="kill api").focus()
    page.keyboard.press("Enter")
    expect(page.locator('[data-program="api"] small')).to_contain_text(f"☠ {before}")
    page.close()


def test_strangers_and_other_sites_are_refused(room: Room) -> None:
    address = room.url.partition("?")[0]
    with httpx.Client(trust_env=False, base_url=address) as stranger:
        assert stranger.get("/").status_code == 403
        assert stranger.get("/stream").status_code == 403
        assert stranger.post("/kill/worker").status_code == 403
    with httpx.Client(trust_env=False, base_url=address) as known:
        token = room.url.partition("token=")[2]
        assert known.get("/", params={"token": token}).status_code == 200  # and its cookie
        assert known.post("/kill/worker", headers={"Origin": "http://evil.example"}).status_code == 403
        assert known.post("/kill/worker", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
        assert known.post("/kill/worker", headers={"Host": "evil.example"}).status_code == 403
        assert known.post("/kill/everything").status_code == 409
