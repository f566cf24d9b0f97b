"""Lesson 08's builds and exercise on a whole lab: tried empty, half right, and right; and nothing is left behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from support.classroom import notebook, whole_lab

from orderkit.core.builds import UNVERSIONED
from orderkit.errors import InvalidOrder
from orderkit.lab import Lab
from orderkit.lessons.builds.shop import Builds
from orderkit.lessons.lesson_08 import release_taken_back
from orderkit.stack.processes import label
from orderkit.stack.stack import Stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with whole_lab(tmp_path_factory.mktemp("lesson")) as stack:
        yield stack


@pytest_asyncio.fixture
async def lab(stack: Stack) -> AsyncIterator[Lab]:
    async with notebook(stack) as lab:
        yield lab


@pytest.mark.timeout(240)
async def test_a_release_is_taken_back(lab: Lab, stack: Stack) -> None:
    """One test, since each stage of the exercise goes on where the one before has ended."""
    builds = await Builds.open(lab)

    async def check() -> str:
        return repr(await release_taken_back(lab, builds, "jar", "jug"))

    told = await check()
    assert "✖ no order jar was started: run the cell above" in told
    assert "Hint 1 of 3" in told
    with pytest.raises(InvalidOrder, match="deaf, hasty, patched, typo"):
        await builds.start("green")

    await builds.start("patched")
    assert (await builds.promote("patched")).rows == (("patched", "100 %"),)
    await builds.start("typo")
    assert (await builds.promote("typo")).rows == (("patched", "0 %"), ("typo", "100 %"))
    await builds.order("jar", "jug")
    await builds.approve("jar", "jug")
    assert sorted(map(label, stack.extra())) == ["extra-patched", "extra-typo"]

    told = await check()
    assert "✖ order jar is in_review, on typo; it should be shipped" in told
    assert "✖ a new order begins on typo and is in_review; it should ship" in told
    assert "Hint 2 of 3" in told
    assert (await builds.replay("jar", build="patched")).rows == (("order-jar", "yes", ""),)

    await builds.roll_back()
    told = await check()
    assert "✖ order jug is in_review" in told
    assert "✔ a new order begins on patched and is shipped" in told

    await builds.move("jar", "patched")
    await builds.move("jug", "patched")
    assert (await builds.wait("jar", "jug")).rows == (
        ("jar", "shipped", "typo", "patched"),
        ("jug", "shipped", "typo", "patched"),
    )
    assert "Solved." in await check()

    await builds.order("left")  # open when the lesson ends: settled, and no worker runs on
    await builds.close()
    assert (await lab.orders.status("left")).state == "failed"
    assert stack.extra() == []
    assert [each.build_id for each in await builds.deployment.status() if each.share] == [UNVERSIONED]
