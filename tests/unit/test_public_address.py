"""Where the learner's browser reaches a lab that runs on another machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from orderkit.cli.codec import _origins
from orderkit.errors import SettingsError
from orderkit.settings import Settings, address_of_port, path_of_port
from orderkit.stack.public_address import find_public_url
from orderkit.stack.tcp_ports import TcpPorts
from orderkit.stack.temporal import script

HUB = {"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"}
CODESPACE = {"CODESPACE_NAME": "ada-1", "GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN": "forwarded.example"}


@pytest.mark.parametrize(
    ("environment", "address", "path"),
    [
        ({}, "http://127.0.0.1:8080", ""),
        ({"CODESPACE_NAME": "ada-1"}, "http://127.0.0.1:8080", ""),
        (HUB, "/user/ada/proxy/absolute/8080", "/user/ada/proxy/absolute/8080"),
        (
            {**HUB, "JUPYTERHUB_PUBLIC_URL": "https://hub.example/user/ada/"},
            "https://hub.example/user/ada/proxy/absolute/8080",
            "/user/ada/proxy/absolute/8080",
        ),
        (CODESPACE, "https://ada-1-8080.forwarded.example", ""),
        ({**HUB, **CODESPACE, "ORDERKIT_PUBLIC_URL": "https://x.example/{port}"}, "https://x.example/8080", "/8080"),
    ],
)
def test_the_environment_says_where_a_port_is_seen(environment: dict[str, str], address: str, path: str) -> None:
    public_url = find_public_url(environment)
    assert address_of_port(public_url, 8080) == address
    assert path_of_port(public_url, 8080) == path


@pytest.mark.parametrize("wrong", ["hub.example/{port}", "https://hub.example/", "/{port}/{port}", "/{port}/{name}"])
def test_an_address_without_a_port_is_refused(wrong: str) -> None:
    with pytest.raises(SettingsError, match="ORDERKIT_PUBLIC_URL"):
        Settings(public_url=wrong, home=Path("/"))


def test_the_codec_server_asks_for_an_origin_where_the_ui_has_only_a_path() -> None:
    assert _origins("http://127.0.0.1:8080") == ["http://127.0.0.1:8080", "http://localhost:8080"]
    with pytest.raises(SettingsError, match="--origin"):
        _origins("/user/ada/proxy/absolute/8080")


def test_temporals_ui_is_told_its_path_and_only_where_it_has_one() -> None:
    ports = TcpPorts(0, 1, 8080, 2, 3, 4, 5)
    assert "--ui-public-path" not in script(ports)
    assert "--ui-public-path" not in script(ports, "https://ada-{port}.example")
    assert "--ui-public-path /user/ada/8080 " in script(ports, "/user/ada/{port}")
    assert "--ui-public-path '/user/ada lovelace/8080' " in script(ports, "/user/ada lovelace/{port}")
