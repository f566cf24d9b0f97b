"""`make again`: the files of the tests that failed last, once more and with nothing beside them.

The tests use real servers, and some wait for what a busy machine does late. A failure that comes again here is a fault
of the code or of the test. One that does not is a test to be made calmer: its name is printed, so that it is not lost.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LAST_FAILED = ROOT / ".pytest_cache" / "v" / "cache" / "lastfailed"
MOST_FILES = 8  # more than that do not fail by chance


def failed_tests() -> list[str]:
    """The ids of the tests that failed in the last run; empty if none did."""
    failed = json.loads(LAST_FAILED.read_text()) if LAST_FAILED.exists() else {}
    return sorted(test for test in failed if (ROOT / test.partition("::")[0]).exists())


def main() -> int:
    """pytest's exit status of the second run; 1 where there is nothing to run, or too much."""
    failed = failed_tests()
    files = sorted({test.partition("::")[0] for test in failed})
    if not files:
        print("no test has failed in the last run: run make test")
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
