"""`make again`: the files of the tests that failed last, once more and with nothing beside them.

The tests use real servers, and some wait for what a busy machine does late. A failure that comes again here is a fault
of the code or of the test. One that does not is a test to be made calmer: its name is printed, so that it is not lost.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".pytest_cache" / "v"
EXIT_STATUS = "orderkit/exit_status"  # in pytest's cache: tests/conftest.py keeps it
TESTS_FAILED = 1  # pytest's exit status of a run that came to its end; after an interruption or an error it is another
MOST_FILES = 8  # more than that do not fail by chance


def failed_tests() -> list[str]:
    """The ids of the tests that failed in the last run; empty if none did, or if it did not come to its end."""
    if _cached(EXIT_STATUS) != TESTS_FAILED:
        return []
    return sorted(test for test in _cached("cache/lastfailed") or {} if (ROOT / test.partition("::")[0]).exists())


def _cached(key: str) -> Any:
    path = CACHE / key
    return json.loads(path.read_text()) if path.exists() else None


def main() -> int:
    """pytest's exit status of the second run; 1 where there is nothing to run, or too much."""
    failed = failed_tests()
    files = sorted({test.partition("::")[0] for test in failed})
    if not files:
        print("the last run did not come to its end, or nothing failed in it: run make test")
        return 1
    if len(files) > MOST_FILES:
        print(f"tests of {len(files)} files failed: too many to be chance, so none is run again")
        return 1
    print("failed beside other tests, and now run alone:", *failed, sep="\n  ", flush=True)
    # A notebook's cells build on each other, so whole files; the cache keeps what failed first.
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "-p", "no:cacheprovider", *files]
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    if status == 0:
        print("passed alone, so these need more calm than they should:", *failed, sep="\n  ")
    return status


if __name__ == "__main__":
    sys.exit(main())
