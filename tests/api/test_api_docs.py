"""The curl commands of docs/reference/rest.md, as they stand there."""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
from pathlib import Path

import pytest

from orderkit.core.orders import OrderId

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "rest.md").read_text()
HERE = "http://127.0.0.1:8000"


def commands() -> list[tuple[list[str], str]]:
    """Words and the status that is promised, of each command in the page's shell blocks."""
    blocks = "".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL))
    return [(shlex.split(text), status) for text, status in re.findall(r"(curl .*?)  # (\d{3})\n", blocks, re.DOTALL)]


def test_every_command_says_what_it_answers() -> None:
    assert len(commands()) == PAGE.count("\ncurl ") > 15
    documented = set(
        re.findall(r"/(?:orders|health|metrics)[^ '?]*", " ".join(" ".join(words) for words, _ in commands()))
    )
    assert {re.sub(r"(A-\d+|nobody-knows)", "id", path) for path in documented} >= {
        "/orders",
        "/health",
        "/metrics",
        *(f"/orders/id/{call}" for call in ("start", "status", "events", "attempts", "history", "stream")),
        *(
            f"/orders/id/{call}"
            for call in ("signals/cancel", "signals/update-address", "updates/cancel", "updates/review")
        ),
    }


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_the_quick_start_works_as_it_is_written(served: str, order_id: OrderId) -> None:
    for as_written, status in commands():
        words = [re.sub(r"\b(A|pay)-(?=\d)", rf"\1-{order_id}-", word) for word in as_written]
        curl = await asyncio.create_subprocess_exec(
            *(word.replace(HERE, served) for word in words),
            *("--silent", "--show-error", "--max-time", "30", "--noproxy", "*", "--write-out", "\n%{http_code}"),
            stdout=asyncio.subprocess.PIPE,
        )
        told, _ = await curl.communicate()
        text, _, answered = told.decode().rpartition("\n")
        assert answered == status, f"{words}: {text}"
        if words[-1].endswith("-1001/status"):
            outcome = text
    assert '"outcome":"shipped"' in outcome
