"""`orderkit demo --stage` as a presenter starts it and ends it."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.terminal import Terminal, processes_below, until


@contextmanager
def story_on_stage(folder: Path, outage_seconds: float) -> Iterator[str]:
    """The page's address with its token. Afterwards Ctrl-C, and nothing may be left below the folder."""
    log = folder / "stage.log"
    terminal = Terminal(folder, {"TMPDIR": str(folder)})
    process = terminal.start("demo", "--stage", "--no-browser", "--outage-seconds", str(outage_seconds), log=log)
    try:
        until(lambda: "Ctrl-C" in log.read_text() or process.poll() is not None, "the stage is there", 120)
        said = re.search(r"http\S+\?token=\S+", log.read_text())
        assert said, log.read_text()
        yield said[0]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, log.read_text()
        assert "Traceback" not in log.read_text()
        assert processes_below(folder) == [] and not list(folder.glob("orderkit-stage-*"))
    finally:
        if process.poll() is None:
            process.terminate()  # not kill: its lab would be left
            process.wait(60)
