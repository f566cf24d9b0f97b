# `make` or `make help` lists what there is. Needs GNU make 3.81 (macOS has it) and Python 3.11 or newer; all else it installs into .venv.
SHELL := bash
BIN := .venv/bin
# With PIP_USER=1 and the like, pip would not install into .venv.
unexport PIP_USER PIP_TARGET PIP_PREFIX
# Without bytecode, each of the many processes would compile orderkit again.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-input -c constraints.txt

# The first of these that runs, is new enough and can make a virtual environment. Yours instead: make lab PYTHON=/path/to/python
CANDIDATES := python3.13 python3.12 python3.11 python3.14 python3 python
FITS := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

.PHONY: help install lab demo test again check docs slides bench coverage lowest fences soak containers elsewhere rounds rehearse format notebooks histories wheel usb clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' Makefile | sed -E 's/:.*## /|/' | while IFS='|' read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done

lab: .venv/.lab ## start everything and open JupyterLab on the first notebook (Ctrl-C stops it all)
	@$(BIN)/orderkit lab

install: .venv/.lab ## only install what the lab needs (the other targets do this themselves)

demo: .venv/.lab ## run one order in the terminal
	@$(BIN)/orderkit demo

test: .venv/.dev ## every test and every notebook, on real PostgreSQL and Temporal
	@$(BIN)/python -m pytest --nbval --nbval-current-env -n 2 --dist loadfile --no-loadscope-reorder

again: .venv/.dev ## what failed in the last make test, once more and one after the other
	@$(BIN)/python tests/support/again.py

check: .venv/.dev ## quick checks: format, lint, types, import rules, known vulnerabilities, notebooks as their sources, unit tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python tests/support/advisories.py
	@$(BIN)/python notebooks/build.py --check
	@# All of tests/, so that each file is collected: two of one name, or one that cannot be imported, are seen here.
	@$(BIN)/python -m pytest -q -m unit tests

docs: .venv/.dev ## the documentation site, in build/docs/html (half a minute, no network)
	@$(BIN)/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going -c docs -d build/docs/doctrees . build/docs/html
	@echo "The site: build/docs/html/index.html"

slides: .venv/.dev ## the lessons as slides, in build/slides (no network)
	@$(BIN)/python notebooks/slides.py

coverage: .venv/.dev ## the same tests with coverage: which lines and branches of orderkit/ they run (15 minutes)
	@COVERAGE=$(BIN)/coverage bash tests/support/coverage.sh

lowest: .venv/.dev ## the demo with the lowest versions that pyproject.toml allows, in an environment of its own (minutes)
	@$(BIN)/python tests/support/lowest.py

fences: .venv/.dev ## remove each fence around the money, in a copy, and see that a test fails (20 minutes)
	@$(BIN)/python tests/support/fences.py

bench: .venv/.dev ## every benchmark, in labs of its own: table, build/bench/bench.json and bench.png (10 minutes)
	@$(BIN)/orderkit bench all

soak: .venv/.dev ## every notebook 20 times in a row on the same labs, with the times (an hour)
	@$(BIN)/python tests/support/soak.py

containers: .venv/.dev ## the image and docker-compose.yml for real, with Docker or podman, and lesson 00 inside (minutes)
	@PYTHONPATH=tests $(BIN)/python -m support.containers $(CONTAINERS)

elsewhere: .venv/.dev ## every notebook on a PostgreSQL (with TLS) and a Temporal that the lab did not start (7 minutes)
	@$(BIN)/python tests/support/notebooks_elsewhere.py

rounds: .venv/.dev ## jump to every round of every lesson and run it, as a latecomer does (25 minutes)
	@$(BIN)/python tests/support/rounds.py

rehearse: .venv/.dev ## the stage's story ten times in Chromium, compared with its first time (10 minutes)
	@$(BIN)/python tests/support/rehearse.py

format: .venv/.dev ## format the code
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

notebooks: .venv/.dev ## run notebooks/src and write notebooks/*.ipynb
	@$(BIN)/python notebooks/build.py

histories: .venv/.dev ## record the histories of new cases for the replay test; recorded ones stay
	@PYTHONPATH=tests $(BIN)/python -m support.record_histories

wheel: .venv/.dev ## build dist/orderkit-*.whl
	@$(BIN)/python -m build --wheel

usb: .venv/bin/python ## build/usb: what a laptop needs to install with no network; tried in a fresh environment (minutes)
	@rm -rf build/usb
	@$(subst pip install,pip wheel,$(PIP)) --quiet --wheel-dir build/usb .
	@cp deploy/usb/install.sh build/usb
	@du -sh build/usb
	@echo "Trying it: an installation from build/usb alone"
	@set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; cd "$$folder"; \
	env -u PIP_FIND_LINKS PIP_CONFIG_FILE=/dev/null PYTHON="$(CURDIR)/$(BIN)/python" sh "$(CURDIR)/build/usb/install.sh"; \
	.venv/bin/orderkit version

clean: ## remove what make made (not your lab's data in .orderkit)
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Two installs: at a workshop people download only what the lab needs.
# These are copied when orderkit is installed, so a change of one needs an installation.
COPIED := $(wildcard orderkit/stack/labextension/package.json orderkit/stack/labextension/static/*)

.venv/.lab: .venv/bin/python pyproject.toml constraints.txt $(COPIED)
	@echo "Installing orderkit's parts into .venv (once; about 220 MB, the big ones are listed)"
	@set -o pipefail; $(PIP) -e . | { grep --line-buffered ' MB)' || true; }
	@touch $@

.venv/.dev: .venv/bin/python pyproject.toml constraints.txt $(COPIED)
	@echo "Installing orderkit with its test tools into .venv (once; about 340 MB, the big ones are listed)"
	@set -o pipefail; $(PIP) -e '.[dev]' | { grep --line-buffered ' MB)' || true; }
	@touch .venv/.lab $@

.venv/bin/python:
	@python="$(PYTHON)"; \
	for p in $(CANDIDATES); do [ -z "$$python" ] && "$$p" -c '$(FITS)' >/dev/null 2>&1 && python=$$p; done; \
	if ! "$${python:-false}" -c '$(FITS)' >/dev/null 2>&1; then \
		echo "orderkit needs Python 3.11 or newer that can make virtual environments. Tried: $(or $(PYTHON),$(CANDIDATES))"; \
		echo "  Debian, Ubuntu, WSL:  sudo apt install python3 python3-venv"; \
		echo "  macOS:                brew install python@3.13"; \
		echo "  anything else:        https://www.python.org/downloads/"; \
		echo "A Python of your own:   make lab PYTHON=/path/to/python3.13"; \
		exit 1; \
	fi >&2; \
	"$$python" -m venv --clear .venv
