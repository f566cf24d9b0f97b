"""200 learners at once on one board: nothing is refused, and everybody hears the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from orderkit.benchmarks.classroom import measure

LEARNERS = 200


@pytest.mark.timeout(120)
async def test_two_hundred_learners(tmp_path: Path) -> None:
    found = await measure(tmp_path, LEARNERS, seconds=4, every_seconds=3)
    assert found.failed == 0
    assert found.line_heard == LEARNERS
    assert found.messages >= LEARNERS
    assert found.memory_mb < 200
