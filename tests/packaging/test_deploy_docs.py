"""What the how-tos on deployment tell people to open and to type: files that exist, known commands and variables."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from temporalio.envconfig import ClientConfigProfile
from typer.testing import CliRunner

from orderkit.cli import app

ROOT = Path(__file__).parents[2]
HOW_TO = ROOT / "docs/how-to"
PAGES = {name: (HOW_TO / f"{name}.md").read_text() for name in ("kubernetes", "your-own-temporal")}


def typed(page: str) -> list[str]:
    """The lines of its console blocks, without comments; continued lines are joined."""
    blocks = re.findall(r"^```console\n(.*?)^```", PAGES[page], re.MULTILINE | re.DOTALL)
    return [line.partition("  #")[0] for block in blocks for line in block.replace("\\\n", "").splitlines()]


def test_a_file_of_deploy_that_a_page_names_exists() -> None:
    pages = [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("deploy/**/*.yaml"),
        ROOT / "docker-compose.yml",
    ]
    named = {
        (page.name, found.rstrip("."))
        for page in pages
        for found in re.findall(r"(?<![\w/])deploy/[\w./-]+", page.read_text())
        if not found.startswith(("deploy/temporal-admintools",))  # Kubernetes' short word for a deployment
    }
    assert len(named) > 15
    assert [each for each in sorted(named) if not (ROOT / each[1]).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_command_of_orderkit_is_known(page: str) -> None:
    commands = {found for line in typed(page) for found in re.findall(r"(?:^|-- |\$\()(orderkit [^)\"|>]+)", line)}
    assert len(commands) > 3
    for command in commands:
        done = CliRunner().invoke(app, [*shlex.split(command)[1:], "--help"])
        assert done.exit_code == 0, (command, done.output)


def test_the_ways_to_temporal_are_what_the_sdk_reads() -> None:
    """Each block of exports, read by the SDK: key, certificates, server name and namespace arrive."""
    blocks = re.findall(r"^```console\n(.*?)^```", PAGES["your-own-temporal"], re.MULTILINE | re.DOTALL)
    profiles = []
    for block in blocks:
        told = dict(re.findall(r"\b(TEMPORAL_\w+)=(\S+)", block))
        if "TEMPORAL_NAMESPACE" in told:
            profiles.append((told, ClientConfigProfile.load(disable_file=True, override_env_vars=told)))
    assert len(profiles) == 4
    for told, profile in profiles:
        assert (profile.address, profile.namespace) == (told["TEMPORAL_ADDRESS"], told["TEMPORAL_NAMESPACE"])
        assert profile.api_key == told.get("TEMPORAL_API_KEY")
        given = dict(profile.tls.to_dict()) if profile.tls else {}
        for name, key in (
            ("CLIENT_CERT", "client_cert"),
            ("CLIENT_KEY", "client_key"),
            ("SERVER_CA_CERT", "server_ca_cert"),
        ):
            if path := told.get(f"TEMPORAL_TLS_{name}_PATH"):
                assert given[key] == {"path": path}
