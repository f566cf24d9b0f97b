"""Each command that a container of docker-compose.yml runs, run natively with the container's environment.

No Docker engine is at hand, so what Docker would do is done here: names of services become addresses on this machine,
published ports become free ones, paths inside a container become folders of the test. Nothing else is changed.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from support.terminal import BIN, ours, processes_below, until

from orderkit.stack.lifecycle import down, up
from orderkit.stack.postgres import binary as postgres_binary
from orderkit.stack.tcp_ports import another

COMPOSE = yaml.safe_load((Path(__file__).parents[2] / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


@dataclass(frozen=True)
class Containers:
    """The services as processes on this machine."""

    place: Path
    replaced: Mapping[str, str]  # what Docker provides, and what stands in for it here
    password: str
    ports: Mapping[str, int]
    _open: ExitStack = field(default_factory=ExitStack)

    def words(self, value: str) -> str:
        """A string of the file as the container would see it, on this machine."""
        value = re.sub(
            r"\$\{(\w+):-([^}]*)\}", lambda found: {"POSTGRES_PASSWORD": self.password}.get(found[1], found[2]), value
        )
        value = value.replace("$$", "$")
        for theirs, here in self.replaced.items():
            value = re.sub(rf"(?<![\w.]){re.escape(theirs)}(?!\w)", here, value)
        return value

    def environment(self, service: str) -> dict[str, str]:
        told = {name: self.words(str(value)) for name, value in SERVICES[service].get("environment", {}).items()}
        place = {
            "HOME": str(self.place),
            "PATH": f"{BIN}{os.pathsep}{postgres_binary('postgres').parent}:/usr/bin:/bin",
        }
        if service == "temporal":  # its health check asks at the usual port, which is its own inside the container
            told["TEMPORAL_ADDRESS"] = f"127.0.0.1:{self.ports['temporal']}"
        return {**ours(), **place, **told}

    def run(self, service: str, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.place, env=self.environment(service), capture_output=True, text=True, timeout=60
        )

    def start(self, service: str, *more: str) -> subprocess.Popen[bytes]:
        """The service's command, until the end of the test."""
        command = [*map(self.words, SERVICES[service]["command"]), *more]
        if service == "temporal":
            command = ["temporal", *command]  # the image's entry point
        log = self._open.enter_context((self.place / f"{service}.log").open("wb"))
        process = subprocess.Popen(
            command, cwd=self.place, env=self.environment(service), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        self._open.callback(end, process)
        return process

    def healthy(self, service: str) -> bool:
        """One health check, as the engine would run it."""
        kind, *command = SERVICES[service]["healthcheck"]["test"]
        words = [self.words(word) for word in command]
        return self.run(service, ["/bin/sh", "-c", *words] if kind == "CMD-SHELL" else words).returncode == 0

    def wait_healthy(self, service: str, process: subprocess.Popen[bytes]) -> None:
        def met() -> bool:
            assert process.poll() is None, self.log(service)
            return self.healthy(service)

        until(met, f"{service} is healthy: {self.log(service)}")

    def log(self, service: str) -> str:
        return (self.place / f"{service}.log").read_text(errors="replace")[-2000:]

    def close(self) -> None:
        self._open.close()


def end(process: subprocess.Popen[bytes]) -> None:
    """As `docker stop` does: a request, then force."""
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    """PostgreSQL is the lab's; all else runs as the file says."""
    place = tmp_path_factory.mktemp("compose")
    (place / "notebooks").mkdir()
    ports: dict[str, int] = {}
    for name in ("temporal", "ui", "http", "api", "jupyter", "metrics"):
        ports[name] = another(ports)
    try:
        stack = up(place / ".orderkit", programs=("postgres",), preferred={})
        replaced = {
            "postgresql:5432": f"127.0.0.1:{stack.ports.postgres}",
            "temporal:7233": f"127.0.0.1:{ports['temporal']}",
            "7233": str(ports["temporal"]),
            "8080": str(ports["ui"]),
            "7243": str(ports["http"]),
            "8000": str(ports["api"]),
            "8888": str(ports["jupyter"]),
            "9464": str(ports["metrics"]),
            "--ip=0.0.0.0": "--ip=127.0.0.1",
            "/home/temporal/temporal.db": str(place / "temporal.db"),
            "/app/notebooks": str(place / "notebooks"),
            "/home/orderkit/lab": str(place / "lab"),
            "$(cat /etc/hostname)": socket.gethostname(),
        }
        containers = Containers(place, replaced, stack.secrets.orderkit, ports)
        with closing(containers):
            yield containers
    finally:
        down(place / ".orderkit")
    assert processes_below(place) == []


def test_every_container_does_its_job_and_its_health_check_knows(containers: Containers) -> None:
    """In the order of `depends_on`; a check fails before its service is there, or it would prove nothing."""
    assert not containers.healthy("temporal")
    containers.wait_healthy("temporal", containers.start("temporal"))

    migrate = [containers.words(word) for word in SERVICES["migrate"]["command"]]
    first, again = (containers.run("migrate", migrate) for _ in range(2))
    assert first.returncode == again.returncode == 0, first.stderr
    assert "nothing to do" in again.stdout and "nothing to do" not in first.stdout

    assert not containers.healthy("worker") and not containers.healthy("api")
    containers.wait_healthy("api", containers.start("api"))  # it can be without a worker
    worker = containers.start("worker")
    containers.wait_healthy("worker", worker)
    metrics = httpx.get(f"http://127.0.0.1:{containers.ports['metrics']}/metrics", trust_env=False).text
    assert "temporal_worker_start_total" in metrics
    # From the container that people work in: its lab has a worker and an API of its own, on the others' servers.
    started = "order start composed --review none --wait"
    said = {}
    for command in ("up", "doctor", started, "audit composed", "db migrate", "order status composed", "down"):
        done = containers.run("jupyter", ["orderkit", *command.split(), "--json"])
        assert done.returncode == 0, done.stderr
        said[command] = json.loads(done.stdout)
    assert said["order status composed"]["state"] == "shipped"
    assert said["up"]["temporal"] == f"127.0.0.1:{containers.ports['temporal']}"
    polling = next(check["detail"] for check in said["doctor"] if check["name"] == "queue order-tq")
    assert "worker-0 (" in polling and f"({worker.pid}@" in polling  # the service's worker is shown beside its own
    assert set(said["down"]["ended"]) == {"supervisord", "worker-0", "api"}
    assert worker.poll() is None

    worker.terminate()
    grace_seconds = int(SERVICES["worker"]["stop_grace_period"].removesuffix("s"))
    assert worker.wait(grace_seconds) == 0


@pytest.mark.parametrize("namespace", ["default", "shop"])
def test_a_clusters_namespace_is_made_once_and_orders_are_found_in_it(containers: Containers, namespace: str) -> None:
    """With the development server as the cluster; the first namespace is there already, as after a restart."""
    program, script = SERVICES["cluster-namespace"]["command"]
    here = Path(__file__).parents[2] / "deploy/temporal" / Path(script).name
    told = {
        **containers.environment("cluster-namespace"),
        "TEMPORAL_ADDRESS": f"127.0.0.1:{containers.ports['temporal']}",
        "TEMPORAL_NAMESPACE": namespace,
    }
    first, again = (
        subprocess.run([program, here], env=told, capture_output=True, text=True, timeout=60) for _ in range(2)
    )
    assert first.returncode == again.returncode == 0, first.stdout + first.stderr + again.stderr
    assert again.stdout == ""  # nothing was left to do
    listed = subprocess.run(
        ["temporal", "operator", "search-attribute", "list"], env=told, capture_output=True, text=True, timeout=60
    )
    assert re.search(r"OrderState\s+Keyword", listed.stdout) and re.search(r"OrderPolicy\s+Keyword", listed.stdout)


def test_postgres_health_check_knows(containers: Containers) -> None:
    test = SERVICES["postgresql"]["healthcheck"]["test"]
    command = [containers.words(word) for word in test[1:]]
    port = re.findall(r":(\d+)/", containers.environment("api")["ORDERKIT_DATABASE_URL"])[0]
    assert containers.run("api", [*command, "-p", port]).returncode == 0
    assert containers.run("api", [*command, "-p", "1"]).returncode != 0


def test_jupyter_serves_the_notebooks_to_those_with_its_token_only(containers: Containers) -> None:
    (containers.place / "notebooks" / "00_start_here.ipynb").write_text(json.dumps(NOTEBOOK))
    assert not containers.healthy("jupyter")
    root = ["--allow-root"] if os.geteuid() == 0 else []  # in the image it is the user orderkit
    containers.wait_healthy("jupyter", containers.start("jupyter", *root))
    with httpx.Client(base_url=f"http://127.0.0.1:{containers.ports['jupyter']}", trust_env=False) as http:
        assert http.get("/api/contents").status_code == 403
        found = re.findall(r"[?&]token=(\w{20,})", containers.log("jupyter"))
        listed = http.get("/api/contents", params={"token": found[0]}).json()
    assert [each["name"] for each in listed["content"]] == ["00_start_here.ipynb"]


NOTEBOOK: dict[str, Any] = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
