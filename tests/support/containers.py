"""Build the image, run docker-compose.yml, use it, take it all down: `make containers`.

With Docker, or with podman and podman-compose. The project, its ports and its image's name are its own, so nobody's
containers are touched. After a failure or Ctrl-C, too, everything is removed again but the images: the next run builds
on them. (What podman had begun of an interrupted build, only `podman system prune` or `podman rm` removes.) Exit status
1 after a failure, with the last lines of every container.

    make containers CONTAINERS="--lessons 00 01"  run more lessons in JupyterLab's container
    make containers CONTAINERS="--engine podman"  where both are installed
    make containers CONTAINERS="--stand-ins"      where no image can be pulled: make some of Debian's packages and ours
"""

from __future__ import annotations

import argparse
import json
import re
import secrets
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from support import stand_ins
from support.container_engine import IN_ORDER, MISSING, ROOT, Project, StepFailedError, find, run, tell

from orderkit.stack.tcp_ports import LOOPBACK, another

IMAGE = "localhost/orderkit-check:1"
OURS = ("migrate", "worker", "api", "jupyter")
PORTS = (
    "API_PORT",
    "TEMPORAL_PORT",
    "TEMPORAL_UI_PORT",
    "POSTGRES_PORT",
    "JUPYTER_PORT",
    "PROMETHEUS_PORT",
    "GRAFANA_PORT",
)
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))


class Steps:
    """Each step's time, told when it ends and once more in a table."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, float, str]] = []

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        tell(f"{name} …")
        began, result = time.monotonic(), "failed"
        try:
            yield
            result = "ok"
        except KeyboardInterrupt:
            result = "interrupted"
            raise
        finally:
            seconds = time.monotonic() - began
            self._rows.append((name, seconds, result))
            tell(f"    {result}, {seconds:.1f} s")

    def table(self) -> str:
        """A line for each step, and the sum."""
        rows = [*self._rows, ("altogether", sum(seconds for _, seconds, _ in self._rows), "")]
        width = max(len(name) for name, _, _ in rows)
        return "\n".join(f"{name:{width}}  {seconds:7.1f} s  {result}" for name, seconds, result in rows)


def variables(ports: Mapping[str, int]) -> dict[str, str]:
    """Every variable of docker-compose.yml, so that neither the environment nor a file .env decides one."""
    made = {"ORDERKIT_API_KEY": secrets.token_hex(16), "POSTGRES_PASSWORD": secrets.token_hex(8)}
    unset = dict.fromkeys(("ORDERKIT_CODEC_KEY", "JUPYTER_TOKEN", "GRAFANA_PASSWORD"), "")
    return {**made, **unset, **{name: str(port) for name, port in ports.items()}}


def images(standing_in: bool) -> dict[str, Any]:
    """A compose file that says which images to run."""
    chosen = dict.fromkeys(OURS, IMAGE)
    if standing_in:
        chosen |= {"postgresql": stand_ins.POSTGRESQL, "temporal": stand_ins.TEMPORAL}
    return {"services": {service: {"image": image} for service, image in chosen.items()}}


def expect(found: object, wanted: object, what: str) -> None:
    """Raises StepFailedError unless it is as wanted."""
    if found != wanted:
        raise StepFailedError(f"{what}: expected {wanted}, found {found}")


def get(url: str, **headers: str) -> tuple[int, Any]:
    """The status and the JSON of an answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=10) as answer:  # http only
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        return refusal.code, None


def use(project: Project, step: Steps, lessons: list[str]) -> None:
    """What people do with it, from the API's container, from JupyterLab's and from this machine."""
    ports = {name: f"http://{LOOPBACK}:{project.environment[name]}" for name in PORTS}
    with step("the API on this machine, with its key only"):
        key = project.environment["ORDERKIT_API_KEY"]
        expect(get(f"{ports['API_PORT']}/orders")[0], 401, "without the key")
        expect(get(f"{ports['API_PORT']}/orders", **{"X-API-Key": key})[0], 200, "with the key")
    with step("JupyterLab on this machine, with the token in its log only"):
        contents = f"{ports['JUPYTER_PORT']}/api/contents"
        expect(get(contents)[0], 403, "without the token")
        tokens = re.findall(r"[?&]token=(\w{20,})", project.logs("jupyter"))
        listed = get(contents, Authorization=f"token {tokens[0]}")[1]["content"]
        expect(sorted(each["name"] for each in listed), NOTEBOOKS, "what a learner sees")
    with step("a demo order"):
        ship(project, "demo")
    with step("an order whose charge crashes the worker: its container restarts"):
        before = project.restarts("worker")
        ship(project, "crash", "--review", "none", "--faults", "charge=crash,ok", "--deadline", "60")
        expect(project.restarts("worker"), before + 1, "restarts of the worker's container")
        project.wait_ready("worker")
    with step("the audit"):
        project.answer("api", "audit")
    with step("stop compose's worker: the notebooks bring their own"):
        project.compose("stop", "worker", seconds=60)
    for lesson in lessons:
        with step(f"lesson {lesson}"):
            project.execute("jupyter", "jupyter", "execute", "--timeout=90", f"notebooks/{lesson}", seconds=600)


def ship(project: Project, order_id: str, *options: str) -> None:
    """Start an order, and wait until it is shipped."""
    project.answer("api", "order", "start", order_id, "--wait", *options)
    expect(project.answer("api", "order", "status", order_id)["state"], "shipped", f"order {order_id}")


def check(project: Project, step: Steps, lessons: list[str], standing_in: bool) -> None:
    """All steps but the last."""
    build = ["build", "migrate"]
    if standing_in:
        with step("stand-ins for the images of others"):
            stand_ins.make(project.engine)
        build[1:1] = ["--build-arg", f"PYTHON_IMAGE={stand_ins.PYTHON}"]
    else:
        with step("pull the images of others"):
            project.compose("pull", *(service for service in IN_ORDER if service not in OURS), seconds=1800)
    with step("build the image"):
        before = image_id(project)
        project.compose(*build, seconds=1800)
        if before not in ("", image_id(project)):
            run([project.engine, "rmi", before], 60)  # else each run leaves one without a name
    with step("the notebooks in the image"):
        label = f"com.docker.compose.project={project.name}"
        listed = project.engine_says("run", "--rm", "--label", label, IMAGE, "ls", "-A", "notebooks")
        expect(listed.split(), NOTEBOOKS, "the folder notebooks")
    if project.engine == "docker":
        with step("start every service"):
            project.start()
    for service in IN_ORDER:
        with step(f"{service} is ready"):
            if (
                project.engine == "podman"
            ):  # podman-compose does not wait for conditions of `depends_on` with every podman
                project.start(service)
            project.wait_ready(service)
    use(project, step, lessons)


def image_id(project: Project) -> str:
    """The image of an earlier build or of this one; empty when there is none."""
    return run([project.engine, "images", "--quiet", "--no-trunc", IMAGE], 30).stdout.strip()


def tell_logs(project: Project) -> None:
    """The last lines of every container, for whoever must find out why."""
    for service in IN_ORDER:
        with suppress(StepFailedError):  # it has none yet
            tell("\n".join([f"--- {service}", *project.logs(service).splitlines()[-15:]]))


def chosen_lessons(numbers: list[str]) -> list[str]:
    """Of `00`: `00_start_here.ipynb`. Raises SystemExit for one that there is not."""
    found = {number: [name for name in NOTEBOOKS if name.startswith(f"{number}_")] for number in numbers}
    if missing := [number for number, names in found.items() if not names]:
        raise SystemExit(f"no such lesson: {', '.join(missing)}; there are {', '.join(each[:2] for each in NOTEBOOKS)}")
    return [name for names in found.values() for name in names]


def on_signals(handler: Callable[[int, FrameType | None], None]) -> None:
    """What Ctrl-C, `kill` and a closed terminal do."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)


def interrupt(*_: object) -> None:
    """The first one ends the step; a second one does not end the taking down."""
    on_signals(lambda *_: None)
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the image, run docker-compose.yml, use it, take it all down.")
    parser.add_argument("--engine", choices=["docker", "podman"], help="the first that works, else")
    parser.add_argument(
        "--lessons", nargs="*", default=["00"], metavar="NN", help="run these in JupyterLab's container (00)"
    )
    parser.add_argument(
        "--stand-ins", action="store_true", help="make images instead of pulling them; see the docstring"
    )
    options = parser.parse_args()
    lessons = chosen_lessons(options.lessons)
    on_signals(interrupt)
    found = find(options.engine)
    if not found:
        raise SystemExit(MISSING)
    ports: dict[str, int] = {}
    for name in PORTS:
        ports[name] = another(ports)
    step, status = Steps(), 1
    with tempfile.TemporaryDirectory(prefix="orderkit-containers-") as temporary:
        overrides = Path(temporary) / "images.json"  # YAML, too
        overrides.write_text(json.dumps(images(options.stand_ins)))
        project = Project(*found, f"orderkit-check-{secrets.token_hex(4)}", variables(ports), overrides)
        tell(f"{project.engine}; project {project.name}")
        try:
            check(project, step, lessons, options.stand_ins)
            status = 0
        except StepFailedError as failure:
            tell(f"FAILED: {failure}")
            tell_logs(project)
        except KeyboardInterrupt:
            status = 130
        finally:
            on_signals(lambda *_: None)  # people are impatient, and what follows is bounded
            try:
                with step("take everything down"):
                    project.take_down()
            except StepFailedError as failure:
                tell(f"FAILED: {failure}")
                status = status or 1
    tell(f"\n{step.table()}\nThe images stay; to remove them: {project.engine} rmi {IMAGE}")
    return status


if __name__ == "__main__":
    sys.exit(main())
