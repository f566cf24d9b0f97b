"""What the image holds, read from Dockerfile and .dockerignore; `make containers` looks into the image itself."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import pytest
from support import containers
from support.container_engine import IN_ORDER, SERVICES, too_old

ROOT = Path(__file__).parents[2]
RULES = [
    line for line in (ROOT / ".dockerignore").read_text().splitlines() if line.strip() and not line.startswith("#")
]
IMAGE = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]  # the last stage


def is_sent(path: str) -> bool:
    """Whether the engine gets this file: the last rule that fits it, or a folder that it is in, decides."""
    sent = True
    for rule in RULES:
        words = re.split(r"(\*\*/|\*)", rule.removeprefix("!"))
        pattern = "".join({"**/": "(.*/)?", "*": "[^/]*"}.get(word, re.escape(word)) for word in words)
        if any(re.fullmatch(pattern, str(each)) for each in (path, *PurePosixPath(path).parents)):
            sent = rule.startswith("!")
    return sent


def test_the_image_is_the_build_stages_packages_and_what_is_sent() -> None:
    copied = re.findall(r"^(?:COPY|ADD) (.*)$", IMAGE, re.MULTILINE)
    assert copied == ["--from=build /opt/venv /opt/venv", "--chown=orderkit:orderkit . ."]
    assert re.findall(r"^WORKDIR (.*)$", IMAGE, re.MULTILINE) == ["/app"]


def test_its_user_is_a_number_for_hot_reload() -> None:
    """For `compose watch` Docker looks a name, and `uid:gid`, up among the host's users, and then copies nothing."""
    made = re.findall(r"useradd [^&]*--uid (\d+) orderkit", IMAGE)
    assert made and re.findall(r"^USER (.*)$", IMAGE, re.MULTILINE) == made


def test_its_notebooks_are_those_that_a_lab_lays() -> None:
    """A lab lays the wheel's notebooks: `*.ipynb`, without their solutions."""
    inside = [path for path in (ROOT / "notebooks").rglob("*") if path.is_file()]
    sent = {path.relative_to(ROOT).as_posix() for path in inside if is_sent(path.relative_to(ROOT).as_posix())}
    assert sent == {f"notebooks/{name}" for name in containers.NOTEBOOKS}
    assert "notebooks/00_start_here.ipynb" in sent


@pytest.mark.parametrize(
    "path",
    ["orderkit/cli/demo.py", "sql/queries/orders.sql", "pyproject.toml", "constraints.txt", "README.md", "LICENSE"],
)
def test_what_runs_is_sent(path: str) -> None:
    assert (ROOT / path).is_file()
    assert is_sent(path)


@pytest.mark.parametrize(
    "path",
    [
        "notebooks/build.py",
        "notebooks/src/00_start_here.py",
        "notebooks/solutions/00_start_here.ipynb",
        "notebooks/.ipynb_checkpoints/00_start_here-checkpoint.ipynb",
        "notebooks/.orderkit/lab.json",
        "orderkit/__pycache__/errors.cpython-313.pyc",
        ".env",
        ".git/config",
        ".venv/bin/python",
        ".orderkit/secrets.json",
        "tests/conftest.py",
    ],
)
def test_nothing_else_is_sent(path: str) -> None:
    assert not is_sent(path)


def test_make_containers_decides_every_variable_of_the_compose_file() -> None:
    """Else a shell's, or a file .env's, would reach the project, or its port would be somebody's."""
    asked = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    ports = dict.fromkeys(containers.PORTS, 20_000)
    assert asked == containers.variables(ports).keys()


def test_make_containers_knows_the_services_their_order_and_their_images() -> None:
    assert set(containers.OURS) == {name for name, service in SERVICES.items() if "build" in service}
    for name, service in SERVICES.items():
        assert all(IN_ORDER.index(needed) < IN_ORDER.index(name) for needed in service.get("depends_on", {}))
    assert containers.images(standing_in=False)["services"].keys() == set(containers.OURS)
    replaced = containers.images(standing_in=True)["services"]
    assert replaced.keys() == SERVICES.keys()
    assert not {each["image"] for each in replaced.values()} & {each["image"] for each in SERVICES.values()}


def test_make_containers_takes_lessons_by_number() -> None:
    assert containers.chosen_lessons(["00", "01"]) == ["00_start_here.ipynb", "01_order_lifecycle.ipynb"]
    with pytest.raises(SystemExit, match="no such lesson: 99; there are 00, 01"):
        containers.chosen_lessons(["00", "99"])


@pytest.mark.parametrize(
    ("version", "old"),
    [
        ("using podman version: 4.3.1\npodman-composer version  1.0.3\n", True),
        ("podman-compose version: 1.0.6\n", True),
        ("podman-compose version 1.6.0\npodman version 4.3.1\n", False),
        ("Docker Compose version v2.29.1\n", False),
    ],
)
def test_a_podman_compose_that_cannot_run_the_file_is_not_used(version: str, old: bool) -> None:
    assert too_old(version) is old
