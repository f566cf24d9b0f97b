"""What a learner costs a shared server: N labs side by side, each JupyterLab and kernel included.

    .venv/bin/python tests/support/learners.py --learners 3

Memory is PSS (pages that processes share are counted once), processor time is user and system together. Linux.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from orderkit.stack.jupyter import Jupyter
from orderkit.stack.lifecycle import down, up
from orderkit.stack.processes import memory_mb, processes_of
from orderkit.stack.stack import Stack

ROOT = Path(__file__).parents[2]
LESSON = ROOT / "notebooks" / "solutions" / "05_money_is_right.ipynb"
QUIET_SECONDS = 20.0
LOOK_SECONDS = 0.5


@dataclass
class Learner:
    """One lab, its JupyterLab and a kernel that has run a lesson's first cell."""

    stack: Stack
    kernel: KernelManager
    client: BlockingKernelClient

    def processes(self) -> list[psutil.Process]:
        return [*processes_of(self.stack.home), psutil.Process(self.kernel.provisioner.pid)]  # type: ignore[union-attr]

    def memory(self) -> float:
        return sum(memory_mb(process.pid, children=False) for process in self.processes())

    def run(self, cells: list[str]) -> float:
        """Seconds that the cells took, one after the other."""
        begun = time.monotonic()
        for cell in cells:
            reply = self.client.execute_interactive(cell, timeout=300, output_hook=lambda _: None)
            assert reply["content"]["status"] == "ok", (cell, reply["content"])
        return time.monotonic() - begun


def learner(folder: Path, cleanup: ExitStack) -> Learner:
    folder.mkdir()
    stack = up(folder / ".orderkit", preferred={})
    cleanup.callback(down, stack.home)
    jupyter = cleanup.enter_context(Jupyter(stack, folder, port=0))
    assert jupyter._process is not None
    kernel = KernelManager()
    kernel.start_kernel(cwd=str(folder), env=stack.environment() | {"ORDERKIT_HOME": str(stack.home)})
    cleanup.callback(kernel.shutdown_kernel, now=True)
    client = kernel.client()
    client.start_channels()
    cleanup.callback(client.stop_channels)
    client.wait_for_ready(timeout=60)
    return Learner(stack, kernel, client)


def processor_seconds(learners: list[Learner], seen: dict[psutil.Process, float]) -> None:
    """Note how much each process has used; those that ended keep their last number."""
    for each in learners:
        for process in each.processes():
            try:
                used = process.cpu_times()
            except psutil.Error:
                continue
            seen[process] = used.user + used.system


def measure(learners: list[Learner], cells: list[str]) -> dict[str, float]:
    """Let all of them run these cells at the same time, or rest if there are none."""
    before: dict[psutil.Process, float] = {}
    processor_seconds(learners, before)
    after, most, begun = dict(before), 0.0, time.monotonic()
    with ThreadPoolExecutor(len(learners)) as threads:
        runs = [threads.submit(each.run, cells) for each in learners] if cells else []
        while any(not run.done() for run in runs) if runs else time.monotonic() - begun < QUIET_SECONDS:
            time.sleep(LOOK_SECONDS)
            processor_seconds(learners, after)
            most = max(most, sum(each.memory() for each in learners))
        took = [run.result() for run in runs] or [time.monotonic() - begun]
    used = sum(seconds - before.get(process, 0.0) for process, seconds in after.items())
    count = len(learners)
    return {
        "mb_per_learner": round(most / count),
        "cpu_seconds_per_learner": round(used / count, 1),
        "seconds": round(max(took), 1),
        "cpu_percent_per_learner": round(100 * used / count / max(took), 1),
    }


def main() -> None:
    """Print one line for each phase as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--learners", type=int, default=3)
    cells = ["".join(cell["source"]) for cell in json.loads(LESSON.read_text())["cells"] if cell["cell_type"] == "code"]
    with tempfile.TemporaryDirectory(prefix="orderkit-learners-") as folder, ExitStack() as cleanup:
        learners: list[Learner] = []
        for number in range(parser.parse_args().learners):
            learners.append(learner(Path(folder) / f"learner-{number}", cleanup))
            learners[-1].run(cells[:1])
        shown = {"learners": len(learners), "processors": psutil.cpu_count(), "load": round(psutil.getloadavg()[0], 1)}
        print(json.dumps(shown), flush=True)
        for phase, work in (("at rest", []), (f"all in {LESSON.stem}", cells)):
            print(json.dumps({"phase": phase, **measure(learners, work)}), flush=True)
        parts = {process.name(): 0.0 for process in learners[0].processes()}
        for process in learners[0].processes():
            parts[process.name()] += memory_mb(process.pid, children=False)
        print(json.dumps({"mb_by_program": {name: round(mb) for name, mb in parts.items()}}))


if __name__ == "__main__":
    main()
