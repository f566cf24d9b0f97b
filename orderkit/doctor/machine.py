"""A look at the machine: what is installed, the folder, the disk, memory, processors, the ports."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from packaging.requirements import Requirement

from orderkit.errors import LabError
from orderkit.stack import postgres, temporal
from orderkit.stack.stack import Stack
from orderkit.stack.tcp_ports import PREFERRED, TITLES, holder, is_free, listens

FREE_MB = 500
MEMORY_MB = 1_000  # docs/how-to/shared-server.md has what a lab with JupyterLab and a kernel takes
PROCESSORS = 2
_MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container, where it has one
OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True)
class Check:
    """One thing the doctor looked at; `remedy` says how to mend it, or is empty."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def check_platform() -> Iterator[Check]:
    """Python and the operating system."""
    wanted = ".".join(map(str, OLDEST_PYTHON))
    remedy = f"install Python {wanted} or newer and create the environment again"
    yield Check("Python", sys.version_info >= OLDEST_PYTHON, platform.python_version(), remedy)
    system = f"{platform.system()} {platform.release()}, {platform.machine()}"
    if sys.platform == "win32":
        remedy = "the local lab needs WSL: wsl --install, then work inside it; or use docker-compose.yml"
        yield Check("operating system", False, system, remedy)
    elif "microsoft" in platform.release().lower() and str(Path.cwd()).startswith("/mnt/"):
        remedy = "move the project into WSL's own file system (cd ~), where files are fast and permissions work"
        yield Check("operating system", False, f"{system}: WSL, in a folder of Windows", remedy)
    else:
        yield Check("operating system", True, system)


def check_programs(*, servers: bool = True) -> Iterator[Check]:
    """The servers' programs where they are the lab's own, and what notebooks need."""
    if servers:
        yield _version_of("PostgreSQL program", lambda: postgres.binary("postgres"))
        yield _version_of("Temporal program", temporal.binary)
    for package in ("supervisor", "jupyterlab", "ipywidgets"):
        found = importlib.util.find_spec(package) is not None
        detail = importlib.metadata.version(package) if found else "not installed"
        yield Check(package, found, detail, f"pip install {package}")


def check_packages(distribution: str = "orderkit") -> Check:
    """Every package that orderkit's own metadata asks for, at a version that it allows."""
    remedy = "create the environment again: remove .venv, then make install"
    try:
        asked = [Requirement(line) for line in importlib.metadata.requires(distribution) or ()]
    except importlib.metadata.PackageNotFoundError:
        return Check("packages", False, f"{distribution} is not installed here", remedy)
    needed = [each for each in asked if each.marker is None or each.marker.evaluate({"extra": ""})]
    wrong = [why for each in needed if (why := _why_unfit(each))]
    detail = "; ".join(wrong) or f"{len(needed)} packages, each as new as {distribution} needs"
    return Check("packages", not wrong, detail, remedy)


def _why_unfit(needed: Requirement) -> str:
    try:
        version = importlib.metadata.version(needed.name)
    except importlib.metadata.PackageNotFoundError:
        return f"{needed.name} is not installed"
    fits = needed.specifier.contains(version, prereleases=True)
    return "" if fits else f"{needed.name} is {version}, and not {needed.specifier}"


def check_memory(least_mb: int = MEMORY_MB, limit: Path = _MEMORY_LIMIT) -> Check:
    """What programs may take now, without swapping; in a container no more than its limit."""
    free = psutil.virtual_memory().available
    with suppress(OSError, ValueError):  # no control group, or one without a limit
        free = min(free, int(limit.read_text()))
    remedy = f"close other programs: a lab with JupyterLab takes up to {least_mb:,} MB"
    return Check("memory", free >= least_mb * 2**20, f"{free // 2**20:,} MB free", remedy)


def check_processors(least: int = PROCESSORS) -> Check:
    """How many processors this process may use."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    remedy = "lessons work, but slowly, and waits may run out; give the virtual machine more"
    return Check("processors", found >= least, str(found), remedy)


def check_folder(home: Path, least_mb: int = FREE_MB) -> Iterator[Check]:
    """The lab's folder: writable, with space."""
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    inside = [existing, *(home.iterdir() if existing == home and os.access(home, os.R_OK | os.X_OK) else [])]
    locked = [path.name for path in inside if path.name != postgres.DATA_FOLDER and not os.access(path, os.W_OK)]
    remedy = f"make it yours (sudo chown -R $USER {home}), or choose another with ORDERKIT_HOME"
    yield Check(
        "lab folder", not locked, f"{home}" + (f": not writable: {', '.join(locked)}" if locked else ""), remedy
    )
    free_mb = shutil.disk_usage(existing).free // 2**20
    remedy = (
        f"free some space: PostgreSQL alone takes 60 MB, and stops when the disk is full; {least_mb} MB are comfortable"
    )
    yield Check("disk space", free_mb >= least_mb, f"{free_mb:,} MB free", remedy)


def check_ports(stack: Stack | None) -> Iterator[Check]:
    """Who listens where the lab does, or would."""
    if stack is None or not stack.alive():
        expected = PREFERRED if stack is None or not stack.elsewhere else {"api": PREFERRED["api"]}
        for name, port in expected.items():
            free = is_free(port)
            detail = "free" if free else f"taken by {holder(port)}; the lab will take another and say which"
            yield Check(f"port {port} ({TITLES[name]})", True, detail)
        return
    known = stack.supervisor.processes()
    for name, port in asdict(stack.ports).items():
        if not port:
            continue  # of a server elsewhere
        owner = name.partition("_")[0]
        pid = stack.supervisor.pid() if owner == "supervisor" else known[owner].pid
        if not pid:
            detail = "free" if is_free(port) else f"taken by {holder(port)} while ours is down"
            yield Check(
                f"port {port} ({TITLES[name]})",
                detail == "free",
                detail,
                "orderkit down, then orderkit up: it takes another",
            )
        else:
            ours = listens(pid, port)
            detail = f"ours (pid {pid})" if ours else f"pid {pid} does not listen there"
            yield Check(
                f"port {port} ({TITLES[name]})",
                ours,
                detail,
                "it may be starting; else: orderkit down, then orderkit up",
            )


def _version_of(name: str, binary: Callable[[], Path]) -> Check:
    try:
        path = binary()
        said = subprocess.run([str(path), "--version"], capture_output=True, text=True, timeout=20)
    except LabError as error:
        return Check(name, False, "missing", str(error))
    except (OSError, subprocess.SubprocessError) as error:
        return Check(
            name,
            False,
            f"does not run: {error}",
            "create the environment again (perhaps its wheel is for another platform)",
        )
    return Check(
        name,
        said.returncode == 0,
        f"{said.stdout.strip() or said.stderr.strip()}, {path}",
        "create the environment again",
    )
