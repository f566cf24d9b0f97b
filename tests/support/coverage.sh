#!/usr/bin/env bash
# `make coverage`: every test and notebook with coverage on, in every process, then what they ran. Exit status 1 below the
# gate of pyproject.toml (fail_under). Tracing slows everything, so a test that fails here for being late is only named.
set -uo pipefail
cd "$(dirname "$0")/../.."
bin=$(dirname "${COVERAGE:-.venv/bin/coverage}")
rm -f .coverage .coverage.*
"$bin/coverage" run -m pytest --nbval --nbval-current-env -n 2 --dist loadfile --no-loadscope-reorder --timeout 300 "$@"
tests=$?
"$bin/coverage" combine --quiet
"$bin/coverage" report
gate=$?
if [ $tests -ne 0 ]; then echo "Some tests failed under tracing (above); make test says whether they fail without it." >&2; fi
exit $gate
