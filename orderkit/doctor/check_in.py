"""`check-in`: what a laptop needs for a workshop, each thing looked at or done for real, each bounded in time.

The doctor mends a lab; this asks whether a machine can run one, and needs none.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from orderkit.doctor.machine import (
    FREE_MB,
    MEMORY_MB,
    OLDEST_PYTHON,
    PROCESSORS,
    Check,
    check_folder,
    check_memory,
    check_packages,
    check_platform,
    check_ports,
    check_processors,
    check_programs,
)
from orderkit.doctor.short_code import CheckInCode, make_code
from orderkit.errors import LabError, OrderkitError
from orderkit.stack.jupyter import Jupyter, browser_trouble, shipped_notebooks
from orderkit.stack.stack import Stack, find_stack
from orderkit.stack.target import find_place
from orderkit.stack.tcp_ports import LOOPBACK, PREFERRED, another, is_free

_LESSONS = 13
_ORDER_SECONDS = 45.0
_PAGE_SECONDS = 10.0
_KERNEL_SECONDS = 40.0


@dataclass(frozen=True)
class Question:
    """One thing that a check-in asks. `wrong` and `remedy` are what an instructor reads out of a code."""

    name: str
    wrong: str
    remedy: str


# A code has their places in this list: append, never move or remove one.
QUESTIONS = (
    Question(
        "python",
        f"Python is older than {'.'.join(map(str, OLDEST_PYTHON))}",
        "install a newer Python, remove .venv and install again",
    ),
    Question(
        "system",
        "the lab does not run on this system as it is: Windows without WSL, or WSL in a folder of Windows",
        "install WSL, and work in its own file system (cd ~)",
    ),
    Question(
        "packages",
        "a Python package is missing, or older than orderkit needs",
        "remove .venv and install again; use the USB stick if the network is slow",
    ),
    Question(
        "programs",
        "PostgreSQL's or Temporal's program does not run here",
        "remove .venv and install again with a Python for this machine's processor",
    ),
    Question("disk", f"less than {FREE_MB} MB of disk are free", "free some space"),
    Question(
        "memory", f"less than {MEMORY_MB:,} MB of memory are free", "close browsers and video calls, or share a laptop"
    ),
    Question(
        "processors",
        f"fewer than {PROCESSORS} processors",
        "lessons work, but slowly: waits may run out; share a laptop, or give the virtual machine more",
    ),
    Question(
        "folder",
        "the lab's folder cannot be used",
        "make it writable, or choose another with ORDERKIT_HOME; orderkit doctor says which file is the trouble",
    ),
    Question("ports", "the lab finds no free port", "look for a firewall or sandbox that forbids listening"),
    Question("lessons", "lessons are missing or damaged", "install orderkit again, or clone the repository again"),
    Question(
        "order",
        "the demo order did not ship",
        "ask for the whole output of orderkit check-in, and of orderkit demo",
    ),
    Question(
        "jupyter",
        "JupyterLab or its kernel did not answer",
        "ask for the whole output of orderkit check-in; look for a proxy setting or a firewall around 127.0.0.1",
    ),
    Question(
        "browser",
        "no browser with windows is on this machine",
        "fine where JupyterLab opens elsewhere (JupyterHub, Codespaces, a tunnel); else install Firefox or Chromium",
    ),
)
NAMES = tuple(question.name for question in QUESTIONS)


def examine_machine() -> Iterator[Check]:
    """Everything but the order and JupyterLab, which need a lab that runs; takes about a second."""
    python, system = check_platform()
    yield _joined("python", [python])
    yield _joined("system", [system])
    yield check_packages()
    yield _joined("programs", check_programs())
    try:
        home = find_place().home
        stack = find_stack(home) if home.is_dir() else None
    except OrderkitError as error:
        home, stack = Path.cwd(), None
        yield Check("folder", False, str(error), "do what it says")
        _, disk = check_folder(home)
    else:
        folder, disk = check_folder(home)
        yield _joined("folder", [folder])
    yield _joined("disk", [disk])
    yield check_free_ports(stack)
    yield check_memory()
    yield check_processors()
    yield check_lessons(shipped_notebooks())
    trouble = browser_trouble()
    yield Check("browser", not trouble, trouble or "there is one", _question("browser").remedy)


def check_free_ports(stack: Stack | None) -> Check:
    """Whether the lab has its ports, or would find some."""
    try:
        another({})
    except OSError as error:
        return Check("ports", False, str(error), _question("ports").remedy)
    if stack is not None and stack.alive():
        wrong = [check for check in check_ports(stack) if not check.ok]
        return _joined("ports", wrong) if wrong else Check("ports", True, "the lab that runs has its own")
    taken = [str(port) for port in PREFERRED.values() if not is_free(port)]
    return Check("ports", True, f"taken: {', '.join(taken)}; the lab takes others" if taken else "free")


def check_lessons(folder: Path) -> Check:
    """Whether every lesson is there and can be read."""
    found = 0
    for path in sorted(folder.glob("[0-9][0-9]_*.ipynb")):
        try:
            found += bool(json.loads(path.read_text(encoding="utf-8"))["cells"])
        except (OSError, ValueError, KeyError, TypeError):
            return Check("lessons", False, f"{path} cannot be read", _question("lessons").remedy)
    return Check("lessons", found == _LESSONS, f"{found} of {_LESSONS} in {folder}", _question("lessons").remedy)


def examine_lab(stack: Stack) -> Iterator[Check]:
    """A demo order and JupyterLab, in a lab that runs; takes about 5 s."""
    yield check_order(stack)
    yield check_jupyter(stack)


def check_order(stack: Stack, within_seconds: float = _ORDER_SECONDS) -> Check:
    """Whether an order ships. Never raises."""
    order_id = f"check-in-{secrets.token_hex(3)}"
    try:
        state = asyncio.run(asyncio.wait_for(_ship(stack, order_id), within_seconds))
    except TimeoutError:
        state = f"undecided after {within_seconds:g} s"
    except OrderkitError as error:
        return Check("order", False, f"{order_id}: {error}", "try: orderkit demo, or orderkit doctor")
    remedy = f"look into {stack.home / 'logs'}; try: orderkit demo"
    return Check("order", state == "shipped", f"{order_id}: {state}", remedy)


async def _ship(stack: Stack, order_id: str) -> str:
    from orderkit.client import OrderkitClient
    from orderkit.contract import StartOrder

    async with OrderkitClient(stack.api_url, stack.settings().api_key) as client:
        await client.start(order_id, StartOrder())
        return str((await client.wait(order_id, within_seconds=_ORDER_SECONDS)).state)


def check_jupyter(stack: Stack) -> Check:
    """Whether JupyterLab shows its page and a kernel of it can use orderkit; on a port of its own, and ended again."""
    from httpx import HTTPError
    from tornado.httpclient import HTTPClientError

    from orderkit.doctor.kernel import run_in_kernel

    try:
        with Jupyter(stack, shipped_notebooks(), port=0) as jupyter:
            trouble = _trouble_with_page(jupyter)
            if not trouble:
                ran = run_in_kernel(jupyter.port, jupyter.token, "import orderkit.lab", _KERNEL_SECONDS)
                trouble = asyncio.run(ran)
    except TimeoutError:
        trouble = f"no answer from a kernel within {_KERNEL_SECONDS:g} s"
    except (LabError, OSError, http.client.HTTPException, HTTPError, HTTPClientError) as error:
        trouble = f"{type(error).__name__}: {error}"
    detail = trouble or "shows its page, and its kernel finds orderkit"
    return Check("jupyter", not trouble, detail, f"look into {stack.log('jupyter')}")


def _trouble_with_page(jupyter: Jupyter) -> str:
    connection = http.client.HTTPConnection(LOOPBACK, jupyter.port, timeout=_PAGE_SECONDS)
    try:
        connection.request("GET", f"/lab?token={jupyter.token}")
        answer = connection.getresponse()
        fine = answer.status == http.client.OK and b"jupyter-config-data" in answer.read()
        return "" if fine else f"its page is missing: status {answer.status}"
    finally:
        connection.close()


def code_of(checks: Iterable[Check], version: str) -> CheckInCode:
    """The code of a whole check-in."""
    return make_code(version, (NAMES.index(check.name) for check in checks if not check.ok))


def told_by(code: CheckInCode) -> list[Question]:
    """What a code says is wrong; also for checks that only a newer orderkit has."""
    newer = "something that only a newer orderkit checks"
    return [
        QUESTIONS[number]
        if number < len(QUESTIONS)
        else Question(f"check {number}", newer, "read it with that version")
        for number in sorted(code.failed)
    ]


def _question(name: str) -> Question:
    return QUESTIONS[NAMES.index(name)]


def _joined(name: str, checks: Iterable[Check]) -> Check:
    """Several of the doctor's checks as one answer: what is wrong, else all that was found."""
    looked = list(checks)
    told = [check for check in looked if not check.ok] or looked
    detail = ", ".join(check.detail if len(looked) == 1 else f"{check.name}: {check.detail}" for check in told)
    remedies = dict.fromkeys(check.remedy for check in told if check.remedy)
    return Check(name, all(check.ok for check in looked), detail, "; ".join(remedies))
