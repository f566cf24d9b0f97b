"""Docker or podman and their compose command, on a project of ours: bounded commands, health, restarts, the end."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yml"
# Without those of a profile, whose images nobody here can stand in for.
SERVICES: dict[str, dict[str, Any]] = {
    name: each for name, each in yaml.safe_load(COMPOSE_FILE.read_text())["services"].items() if "profiles" not in each
}
IN_ORDER = list(TopologicalSorter({name: each.get("depends_on", {}) for name, each in SERVICES.items()}).static_order())
MISSING = (
    "This needs Docker with its compose plugin (https://docs.docker.com/get-started/get-docker/), or podman and "
    "podman-compose 1.1 or newer (.venv/bin/pip install podman-compose; that of Debian 12 is too old), running, and "
    "for you to use."
)


def tell(line: str) -> None:
    """A line for whoever watches. That nobody does any more, as after `| head`, must not keep us from taking down."""
    with suppress(OSError):
        print(line, flush=True)


class StepFailedError(Exception):
    """A command failed or took too long, or something is not as it should be."""


def run(
    command: Sequence[str], seconds: float, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, whatever its exit status; a line each 15 s says that it still runs.

    It is in a session of its own, so a Ctrl-C reaches us alone, and we end it. Raises StepFailedError when time is up.
    """
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    began = time.monotonic()
    try:
        while True:
            left = seconds - (time.monotonic() - began)
            try:
                output, errors = process.communicate(timeout=min(15, max(left, 0)))
                return subprocess.CompletedProcess(command, process.returncode, output, errors)
            except subprocess.TimeoutExpired:
                if left <= 15:
                    raise StepFailedError(f"not done within {seconds:.0f} s: {' '.join(command)}") from None
                tell(f"    {time.monotonic() - began:.0f} s …")
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """As a person would: Ctrl-C, then force."""
    for request in (signal.SIGINT, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, request)
            try:
                process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                continue


def checked(
    command: Sequence[str], seconds: float, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> str:
    """What it wrote to its output. Raises StepFailedError unless it ends well, and in time."""
    done = run(command, seconds, environment, folder)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-40:])
        raise StepFailedError(f"exit status {done.returncode}: {' '.join(command)}\n{said}")
    return done.stdout


def too_old(version: str) -> bool:
    """Whether this is a podman-compose that pulls no single services and misreads `${NAME:-}`."""
    found = re.search(r"podman-composer? version:?\s+(\d+)\.(\d+)", version)
    return found is not None and (int(found[1]), int(found[2])) < (1, 1)


def find(wanted: str | None = None) -> tuple[str, list[str]] | None:
    """The engine's program and its compose command: the first that works, or the one that is wanted."""
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    podman_compose = shutil.which("podman-compose", path=beside)
    candidates = {"docker": ["docker", "compose"], "podman": [podman_compose] if podman_compose else []}
    for engine, compose in candidates.items():
        if wanted in (None, engine) and compose and shutil.which(engine):
            info, version = run([engine, "info"], 30), run([*compose, "version"], 30)
            if info.returncode == version.returncode == 0 and not too_old(version.stdout):
                return engine, compose
    return None


@dataclass(frozen=True)
class Project:
    """The services of docker-compose.yml under a name, with ports and images, that nobody else has."""

    engine: str
    compose_command: Sequence[str]
    name: str
    environment: Mapping[str, str]  # what the compose file asks for
    overrides: Path  # a second compose file

    def compose(self, *arguments: str, seconds: float) -> str:
        """The compose command on this project."""
        files = ["-f", str(COMPOSE_FILE), "-f", str(self.overrides)]
        environment = {**os.environ, **self.environment}
        return checked([*self.compose_command, "-p", self.name, *files, *arguments], seconds, environment, ROOT)

    def engine_says(self, *arguments: str, seconds: float = 60) -> str:
        """The engine's answer, without the line's end."""
        return checked([self.engine, *arguments], seconds).strip()

    def start(self, *services: str) -> None:
        """Start these, without what they depend on; all when none is named, each when what it depends on is ready."""
        alone = ["--no-deps", *services] if services else []
        self.compose("up", "--detach", "--no-build", *alone, seconds=300)

    def container(self, service: str) -> str:
        """The id of the service's only container. Raises StepFailedError when there is none, or more."""
        found = self.engine_says(
            "ps", "--all", "--quiet", *self._labelled(), *self._labelled("service", service)
        ).split()
        if len(found) != 1:
            raise StepFailedError(f"{service} has {len(found)} containers")
        return found[0]

    def wait_ready(self, service: str, seconds: float = 120) -> None:
        """Until a one-shot service has ended well, and any other is healthy."""
        container = self.container(service)
        if SERVICES[service]["restart"] == "no":
            status = self.engine_says("wait", container, seconds=seconds)
            if status != "0":
                raise StepFailedError(f"{service} ended with exit status {status}")
            return
        deadline = time.monotonic() + seconds
        while not self._is_healthy(container):
            if time.monotonic() > deadline:
                raise StepFailedError(f"{service} is not healthy after {seconds:.0f} s")
            time.sleep(0.5)

    def _is_healthy(self, container: str) -> bool:
        if self.engine == "podman":  # without systemd nobody else runs the checks
            return run(["podman", "healthcheck", "run", container], 30).returncode == 0
        return self.engine_says("inspect", "--format", "{{.State.Health.Status}}", container) == "healthy"

    def restarts(self, service: str) -> int:
        """How often the engine has restarted the service's container."""
        return int(self.engine_says("inspect", "--format", "{{.RestartCount}}", self.container(service)))

    def execute(self, service: str, *command: str, seconds: float = 90) -> str:
        """A command in the service's container."""
        return self.engine_says("exec", self.container(service), *command, seconds=seconds)

    def answer(self, service: str, *command: str) -> Any:
        """What an orderkit command there answers with --json."""
        return json.loads(self.execute(service, "orderkit", *command, "--json"))

    def logs(self, service: str) -> str:
        """What the service's container has written."""
        done = run([self.engine, "logs", self.container(service)], 30)
        return done.stdout + done.stderr

    def take_down(self) -> None:
        """End and remove all that bears the project's name: containers, pods, networks and volumes."""
        try:
            self.compose("down", "--volumes", "--timeout", "5", seconds=120)
        except StepFailedError as failure:
            tell(str(failure))
        left = self.left()
        for kind, names in left.items():
            run([self.engine, kind, "rm", "--force", *names], 60)
        if left:
            raise StepFailedError(f"compose left {left}; removed now: {not self.left()}")

    def left(self) -> dict[str, list[str]]:
        """What there is of the project, by kind."""
        labelled = self._labelled()
        found = {
            "container": self.engine_says("ps", "--all", "--quiet", *labelled).split(),
            "network": self.engine_says("network", "ls", "--quiet", *labelled).split(),
            "volume": self.engine_says("volume", "ls", "--quiet", *labelled).split(),
        }
        return {kind: names for kind, names in found.items() if names}

    def _labelled(self, key: str = "project", value: str = "") -> list[str]:
        """Both compose commands label what they make."""
        return ["--filter", f"label=com.docker.compose.{key}={value or self.name}"]
