"""Run every notebook and solution many times in a row, two at once, on the same two labs: `make soak`.

Each run is a copy of the notebooks, so every notebook meets labs that others, and it itself, have used before.
20 runs take about an hour; `python tests/support/soak.py --runs 2` takes fewer, `--minutes` ends it in time.
Exit status 1 after any failure.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "notebooks"
UNTIL = "SOAK_UNTIL"  # the moment, by the clock, from which on cells are skipped


def pytest_runtest_setup() -> None:
    """A hook for the processes that run cells: they are told `-p soak`, and so put their labs down as ever."""
    if time.time() > float(os.environ[UNTIL]):
        pytest.skip("time is up")


class Progress:
    """A pytest plugin that says how each run went, and in the end how long each notebook took."""

    def __init__(self) -> None:
        self.open_cells: Counter[str] = Counter()  # by run
        self.seconds: defaultdict[str, defaultdict[str, float]] = defaultdict(
            lambda: defaultdict(float)
        )  # by run, then by notebook
        self.cut_short: set[str] = set()
        self.failed: defaultdict[str, list[str]] = defaultdict(list)
        self.began = time.monotonic()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Both processes collect the same cells."""
        self.open_cells = Counter(run_and_notebook(each)[0] for each in ids)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str]:
        """No dots: a run is told when it ends."""
        return report.outcome, "", ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add a cell's time to its notebook; tell of a failure at once, and of a run when it ends."""
        run, notebook = run_and_notebook(report.nodeid)
        self.seconds[run][notebook] += report.duration
        if report.skipped and not self.failed[run]:
            self.cut_short.add(run)
        if report.failed:
            self.failed[run].append(report.nodeid)
            print(f"FAILED {report.nodeid}\n{report.longreprtext}", flush=True)
        if report.when == "teardown":
            self.open_cells[run] -= 1
            if not self.open_cells[run] and run not in self.cut_short:
                told = f"{len(self.failed[run])} failed" if self.failed[run] else "green"
                print(f"{run}  {told}  {(time.monotonic() - self.began) / 60:5.1f} min since the start", flush=True)

    @property
    def ended(self) -> list[str]:
        """The runs of which every cell has been tried."""
        return [run for run in self.seconds if not self.open_cells[run] and run not in self.cut_short]

    def summary(self) -> str:
        """A line for each notebook, over the runs that ended."""
        ended = self.ended
        green = [run for run in ended if not self.failed[run]]
        lines = [f"{'seconds':45} median   most"]
        for notebook in sorted({notebook for run in ended for notebook in self.seconds[run]}):
            took = [self.seconds[run][notebook] for run in ended]
            lines.append(f"{notebook:45} {statistics.median(took):6.1f} {max(took):6.1f}")
        minutes = (time.monotonic() - self.began) / 60
        return "\n".join([*lines, f"{len(green)} of {len(ended)} runs green, in {minutes:.1f} min"])


def run_and_notebook(node_id: str) -> tuple[str, str]:
    """Of `…/run-03/solutions/01_order_lifecycle.ipynb::Cell 4`: `run-03`, `solutions/01_order_lifecycle.ipynb`."""
    path = node_id.partition("::")[0]
    run, _, notebook = path[path.rindex("run-") :].partition("/")
    return run, notebook


def main() -> int:
    parser = argparse.ArgumentParser(description="Run every notebook and solution many times on the same two labs.")
    parser.add_argument("--runs", type=int, default=20, help="how often (20)")
    parser.add_argument("--minutes", type=float, default=80, help="stop after this time (80)")
    chosen = parser.parse_args()
    progress = Progress()
    os.environ[UNTIL] = str(time.time() + 60 * chosen.minutes)
    with tempfile.TemporaryDirectory(prefix="orderkit-soak-") as temporary:
        folder = Path(temporary)
        for helper in BUILT.glob("*.py"):
            shutil.copy(helper, folder)
        for number in range(1, chosen.runs + 1):
            shutil.copytree(BUILT, folder / f"run-{number:02}", ignore=shutil.ignore_patterns("*.py", "src", "__py*"))
        options = "-n 2 --dist loadfile --no-loadscope-reorder --nbval --nbval-current-env -p soak -p no:cacheprovider"
        looks = ["-q", "--no-header", "--tb=no", "-o", "addopts=", "-c", str(ROOT / "pyproject.toml")]
        pytest.main([*options.split(), *looks, "--rootdir", temporary, temporary], plugins=[progress])
    print(progress.summary())
    return int(len(progress.ended) < chosen.runs or any(progress.failed.values()))


if __name__ == "__main__":
    sys.exit(main())
