"""What keeps people out of a page, as axe-core finds it; its script is in the wheel, so that nothing is fetched."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page


def serious(page: Page, within: str = "document") -> list[str]:
    """Findings that are serious or critical: rule, element and why. `within`: a CSS selector."""
    context = None if within == "document" else within
    return [
        f"{found['id']}: {' '.join(map(str, node['target']))}: {node['failureSummary']}"
        for found in Axe().run(page, context).response["violations"]
        if found["impact"] in ("serious", "critical")
        for node in found["nodes"]
    ]
