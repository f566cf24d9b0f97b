"""The presenter's rehearsals: `python tests/support/rehearse.py --times 10 --out build/rehearsals`.

Each one is `orderkit demo --stage` as it is shown: a fresh lab, an outage of 20 seconds, 30 orders under way, all five
chapters by key, in Chromium. Then a worker is killed by hand. What the page says after each chapter is written down and
compared with the first rehearsal. A minute each. Exit status 1 where two differ, or where a death took more than a
second to be seen.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from lab.test_browser import CHROMIUM, FLAGS
from playwright.sync_api import Page, expect, sync_playwright
from support.stages import story_on_stage

from orderkit.cli.startup import interrupted_once

CHAPTERS = 5
PATIENCE_SECONDS = 120

# The line of the chapter, the ledger's balance, and each lane's orders: which marks its attempts have, and the last.
# How often an order is tried while the provider is down differs by one, so marks are not counted.
SEEN = """() => { const marks = all => [...new Set(all)].sort().join('') + ' then ' + all.at(-1);
const lines = words => words.sort().map(each => '\\n  ' + each).join(''); return [
  document.querySelector('[role="status"]').innerText,
  document.querySelector('#balance').innerText,
  ...[...document.querySelectorAll('.lane')].map(lane => lane.querySelector('h2').innerText + ': ' +
    lines([...lane.querySelectorAll('[data-order]')].map(order => order.dataset.order + ' ' +
      marks([...order.querySelectorAll('.mark')].map(mark => mark.innerText))))),
].join('\\n').replace(/pid \\d+/g, 'pid …') }"""


def rehearse(number: int, outage: float, out: Path) -> tuple[str, float]:
    """What was seen after each chapter, and the seconds from a worker's death until the page says so."""
    with (
        tempfile.TemporaryDirectory(prefix="orderkit-rehearsal-") as folder,
        story_on_stage(Path(folder), outage) as url,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 720}, bypass_csp=True)
        page.goto(url)
        page.locator(".program").nth(3).wait_for()
        seen = [_tell(page, chapter) for chapter in range(1, CHAPTERS + 1)]
        page.screenshot(path=out / f"rehearsal-{number:02}.png")
        death = _kill_the_worker(page)
        browser.close()
    return "\n\n".join(seen), death


def _tell(page: Page, chapter: int) -> str:
    page.keyboard.press("ArrowRight")
    ended = page.locator(f'body[data-chapter="{chapter}"][data-runs="false"]')
    expect(ended).to_be_attached(timeout=PATIENCE_SECONDS * 1000)
    expect(page.locator("#balance")).to_contain_text("✔", timeout=PATIENCE_SECONDS * 1000)  # no order is open
    expect(page.get_by_role("status")).not_to_contain_text("☠", timeout=PATIENCE_SECONDS * 1000)
    return f"chapter {chapter}\n{page.evaluate(SEEN)}"


def _kill_the_worker(page: Page) -> float:
    words = page.locator('[data-program="worker-0"] small').inner_text()
    found = re.search(r"pid (\d+)", words)
    assert found, words
    os.kill(int(found[1]), signal.SIGKILL)
    began = time.monotonic()
    page.get_by_text(f"☠ worker-0 (pid {found[1]}) died").wait_for()
    return time.monotonic() - began


def main() -> int:
    """Rehearse, and say where two rehearsals differ."""
    parser = argparse.ArgumentParser(description="Rehearse the stage's story, and compare what it shows.")
    parser.add_argument("--times", type=int, default=10, help="how often (10)")
    parser.add_argument("--outage-seconds", type=float, default=20, help="the provider is down for so long (20)")
    parser.add_argument("--out", type=Path, default=Path("build/rehearsals"), help="for the screenshots")
    chosen = parser.parse_args()
    if CHROMIUM is None:
        sys.exit("no chromium, chromium-browser or google-chrome on the PATH")
    chosen.out.mkdir(parents=True, exist_ok=True)
    first, differing, slowest = "", 0, 0.0
    for number in range(1, chosen.times + 1):
        began = time.monotonic()
        seen, death = rehearse(number, chosen.outage_seconds, chosen.out)
        (chosen.out / f"rehearsal-{number:02}.txt").write_text(seen + "\n")
        first, slowest = first or seen, max(slowest, death)
        same = "the same" if seen == first else "DIFFERS"
        print(f"{number}: {same}, a death is seen after {death:.2f} s, {time.monotonic() - began:.0f} s", flush=True)
        if seen != first:
            differing += 1
            print("\n".join(difflib.unified_diff(first.splitlines(), seen.splitlines(), "first", "this", lineterm="")))
    print(f"{chosen.times - differing} of {chosen.times} look the same; the slowest death {slowest:.2f} s")
    return int(differing > 0 or slowest > 1)


if __name__ == "__main__":
    with interrupted_once():  # the lab of the rehearsal goes, too
        sys.exit(main())
