"""`orderkit stage` and `orderkit demo --stage`: a lab as a page for a beamer."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from orderkit.cli.output import out
from orderkit.cli.startup import lab_of_its_own, lab_of_the_folder

if TYPE_CHECKING:
    from orderkit.stack.stack import Stack

Browser = Annotated[bool, typer.Option(help="Open the browser.")]
Port = Annotated[int, typer.Option(min=0, max=65_535, help="The page's port; 0: a free one.")]


def stage_command(browser: Browser = True, port: Port = 0) -> None:
    """Show the lab as a page for a beamer: orders, programs, ledger, switches, kill buttons. Ctrl-C ends it."""
    with suppress(KeyboardInterrupt), lab_of_the_folder() as stack:
        show(stack, browser=browser, port=port)


def tell_story(browser: bool, port: int, outage_seconds: float) -> None:
    """The story in chapters, in a fresh lab of its own that is gone afterwards."""
    with suppress(KeyboardInterrupt), lab_of_its_own("stage") as stack:
        show(stack, story=True, outage_seconds=outage_seconds, browser=browser, port=port)


def show(stack: Stack, *, browser: bool, port: int = 0, story: bool = False, outage_seconds: float = 20) -> None:
    """Serve the page until Ctrl-C."""
    from orderkit.stack.jupyter import open_browser
    from orderkit.stage.server import StageServer
    from orderkit.stage.stage import Stage

    async def serve() -> None:
        server = StageServer(Stage(stack), story=story, outage_seconds=outage_seconds, port=port)
        out.print(f"The stage: [bold]{server.url}[/]", soft_wrap=True)
        out.print("Keys: f full screen, d light or dark, o an order, O thirty" + (", → next chapter" * story))
        out.print("Ctrl-C ends it.")
        if browser and not open_browser(server.url):
            out.print("There is no display here: open this address in a browser.")
        await server.serve()

    asyncio.run(serve())
