"""What tests of lessons share: a whole lab, and notebooks on it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from orderkit.lab import Lab
from orderkit.lessons import verdicts
from orderkit.stack.lifecycle import down, up
from orderkit.stack.stack import Stack


@contextmanager
def whole_lab(folder: Path) -> Iterator[Stack]:
    """A lab on free ports. The environment is as before afterwards: Lab.start leads the process to its stack."""
    home, before = folder / ".orderkit", dict(os.environ)
    try:
        yield up(home, preferred={})
    finally:
        os.environ.clear()
        os.environ.update(before)
        down(home)


@asynccontextmanager
async def notebook(stack: Stack) -> AsyncIterator[Lab]:
    """A notebook of its own: it knows only the orders that it started, and no check has missed yet."""
    verdicts._tries.clear()
    lab = await Lab.start(stack.home)
    yield lab
    await lab.close()
