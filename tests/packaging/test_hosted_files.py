"""The files for the hosted repository have the form that their reader expects. No hosted workflow runs here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from orderkit.stack.tcp_ports import PREFERRED

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
FORMS = {
    "vendor.github-workflows": sorted(GITHUB.glob("workflows/*.yml")),
    "vendor.dependabot": [GITHUB / "dependabot.yml"],
    "vendor.github-issue-config": [GITHUB / "ISSUE_TEMPLATE" / "config.yml"],
    "vendor.github-issue-forms": [
        path for path in sorted(GITHUB.glob("ISSUE_TEMPLATE/*.yml")) if path.name != "config.yml"
    ],
}
BIN = Path(sys.executable).parent


def steps(workflow: str) -> list[dict[str, Any]]:
    jobs = yaml.safe_load((GITHUB / "workflows" / workflow).read_text())["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


@pytest.mark.parametrize("schema", FORMS)
def test_files_have_the_form_of_their_schema(schema: str, tmp_path: Path) -> None:
    assert FORMS[schema]
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    done = subprocess.run([*command, *FORMS[schema]], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    (tmp_path / "wrong.yml").write_text("jobs: {linux: {steps: 3}}\nbody: 4\nupdates: 5\ncontact_links: 6\n")
    assert subprocess.run([*command, tmp_path / "wrong.yml"], capture_output=True).returncode == 1


@pytest.mark.parametrize("workflow", ["ci.yml", "release.yml"])
def test_what_counts_as_tested_is_in_one_place(workflow: str) -> None:
    assert {"run": ".ci/run"} in steps(workflow)


def test_the_development_container_installs_the_lab_and_forwards_its_ports() -> None:
    lines = (ROOT / ".devcontainer" / "devcontainer.json").read_text().splitlines()
    container = json.loads("\n".join(line for line in lines if not line.lstrip().startswith("//")))
    program, target = container["updateContentCommand"].split()
    assert (program, f"\n{target}:" in (ROOT / "Makefile").read_text()) == ("make", True)
    assert set(container["forwardPorts"]) == {*PREFERRED.values(), 8888}
    assert {int(port) for port in container["portsAttributes"]} == set(container["forwardPorts"])
    assert set(container["hostRequirements"]) == {"cpus", "memory"}


def test_a_commit_is_checked_by_programs_of_this_environment() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    programs = {hook["entry"].split()[0] for hook in hooks}
    assert programs >= {f".venv/bin/{name}" for name in ("ruff", "mypy", "lint-imports", "codespell")}
    assert [program for program in programs if not (BIN / Path(program).name).exists()] == []
    valid = subprocess.run([sys.executable, "-m", "pre_commit", "validate-config"], cwd=ROOT, capture_output=True)
    assert valid.returncode == 0, valid.stdout


def test_words_are_spelled_right() -> None:
    done = subprocess.run([BIN / "codespell"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
