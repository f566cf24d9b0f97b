"""A Prometheus of a test's own: the shipped files, with other addresses and shorter waits."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from orderkit.stack.tcp_ports import another

SHIPPED = Path(__file__).parents[2] / "deploy" / "prometheus"
PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")
MISSING = "no prometheus and promtool on the PATH (Debian: apt-get install prometheus)"


@dataclass(frozen=True)
class Prometheus:
    """One that runs."""

    url: str

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an instant query."""
        result: list[dict[str, Any]] = self._get(f"/api/v1/query?query={urllib.parse.quote(expression)}")["result"]
        return result

    def firing(self) -> set[str]:
        """The names of the alerts that fire now."""
        alerts = self._get("/api/v1/alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def is_up(self) -> bool:
        try:
            return bool(self._get("/api/v1/status/buildinfo")["version"])
        except (OSError, urllib.error.URLError):
            return False


def quick(rules: str) -> str:
    """The shipped rules, with waits a test can afford."""
    return re.sub(r"for: \d+[sm]", "for: 1s", rules)


def configured(targets: Mapping[str, list[str]]) -> str:
    """The shipped configuration, with these addresses for its jobs, asked every second, without a key."""
    configuration = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    for job in configuration["scrape_configs"]:
        kept = {"job_name": job["job_name"], "static_configs": [{"targets": targets[job["job_name"]]}]}
        job.clear()
        job |= kept
    return str(yaml.safe_dump(configuration))


@contextmanager
def scraping(folder: Path, targets: Mapping[str, list[str]]) -> Iterator[Prometheus]:
    """Start it as a child, on a free port."""
    (folder / "prometheus.yml").write_text(configured(targets))
    (folder / "rules.yml").write_text(quick((SHIPPED / "rules.yml").read_text()))
    port = another({})
    command = [
        *(str(PROMETHEUS), f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"),
        *(f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"),
    ]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield Prometheus(f"http://127.0.0.1:{port}")
        finally:
            process.kill()
