"""A pytest plugin for tests of the bug museum: each runs on the exhibit that it names, and on OrderWorkflow."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from orderkit.lessons.museum.display import Visit  # late: most tests visit no museum


@pytest_asyncio.fixture(params=["exhibit", "OrderWorkflow"])
async def shop(request: pytest.FixtureRequest) -> AsyncIterator[Callable[..., Awaitable[Visit]]]:
    """`visit = await shop("free-tea")` runs an order through the exhibit, or with the same faults and messages through
    OrderWorkflow; `faults` replaces those of the exhibit. The visit has state, workflow, attempts, ledger and kinds.
    """
    from orderkit.lab import Lab
    from orderkit.lessons.museum.tour import Museum
    from orderkit.stack.target import find_target

    lab = Lab(find_target())
    museum = Museum(lab)
    yield museum.visit if request.param == "exhibit" else museum.mended
    await lab.close()
