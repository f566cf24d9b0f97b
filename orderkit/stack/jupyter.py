"""JupyterLab on the notebooks, as a child in a session of its own; its token kept, nothing fetched from the network."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import webbrowser
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import psutil

from orderkit.errors import LabError
from orderkit.settings import address_of_port
from orderkit.stack.environment import inherited_environment
from orderkit.stack.processes import end
from orderkit.stack.public_address import HUB
from orderkit.stack.stack import Stack
from orderkit.stack.tcp_ports import LOOPBACK, another, is_free, listens

FIRST_NOTEBOOK = "00_start_here.ipynb"
ENGLISH = "en"
_FOLDER = "jupyter"
_STARTER = "ORDERKIT_JUPYTER_STARTER"
_TRIES = 4
_TEXT_BROWSERS = ("www-browser", "links", "elinks", "lynx", "w3m")


def shipped_notebooks() -> Path:
    """The folder of the notebooks: inside the installed package, else in the repository."""
    packaged = Path(__file__).parents[1] / "_notebooks"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "notebooks"


def lay_notebooks(beside: Path, language: str = ENGLISH) -> tuple[Path, list[str]]:
    """Give the learner every notebook, without outputs: in `notebooks`, or in the repository in `lessons`.

    The repository's own `notebooks` keep their outputs, which tests and the site need. Never overwrites a copy. Another
    language has a folder of its own, `notebooks-de`; what is not translated is English there. Returns the folder and
    what was laid.
    """
    if language not in languages():
        raise LabError(f"there are no lessons in the language {language}; there are: {', '.join(languages())}")
    source, folder = shipped_notebooks(), learners_folder(beside, language)
    laid = []
    for notebook in sorted(source.glob("*.ipynb")):
        copy, translated = folder / notebook.name, source / language / notebook.name
        if not copy.exists():
            folder.mkdir(exist_ok=True)
            original = translated if translated.exists() else notebook
            copy.write_text(notebook_text(without_outputs(original)), encoding="utf-8")
            laid.append(notebook.name)
    return folder, laid


def languages() -> list[str]:
    """Those of the lessons' prose, English first."""
    return [ENGLISH, *sorted(path.name for path in shipped_notebooks().glob("??") if path.is_dir())]


def learners_folder(beside: Path, language: str = ENGLISH) -> Path:
    """Where a learner's copies are, or would be: `notebooks`, in the repository `lessons`; German `notebooks-de`."""
    folder = beside / "notebooks"
    if folder.is_dir() and folder.samefile(shipped_notebooks()):
        folder = beside / "lessons"
    return folder if language == ENGLISH else folder.with_name(f"{folder.name}-{language}")


def language_of(folder: Path) -> str:
    """The language of the copies in a folder, by its name."""
    ending = folder.name.rpartition("-")[2]
    return ending if ending in languages() else ENGLISH


def folder_shown(home: Path) -> Path | None:
    """The folder that this lab's JupyterLab shows now."""
    for record in (home / _FOLDER / "runtime").glob("jpserver-*.json"):  # JupyterLab's own: one for each that runs
        with suppress(OSError, ValueError, KeyError):
            running = json.loads(record.read_text())
            if psutil.pid_exists(running["pid"]):
                return Path(running["root_dir"])
    return None


def without_outputs(notebook: Path) -> dict[str, Any]:
    """Read it and remove the outputs, so that nobody sees an answer before the prediction."""
    read: dict[str, Any] = json.loads(notebook.read_text(encoding="utf-8"))
    for cell in read["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    return read


def notebook_text(notebook: dict[str, Any]) -> str:
    """The text of a notebook's file, as JupyterLab writes it."""
    return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"


def end_orphans(home: Path) -> list[str]:
    """End a JupyterLab whose `orderkit lab` was killed, unless we run inside it; returns what was ended."""
    ancestors = {process.pid for process in psutil.Process().parents()}
    orphans = []
    for record in (home / _FOLDER / "runtime").glob("jpserver-*.json"):  # JupyterLab's own: one for each that runs
        try:
            process = psutil.Process(int(record.stem.partition("-")[2]))
            starter = process.environ().get(_STARTER, "")
            if starter and starter != str(process.ppid()) and process.pid not in ancestors:
                orphans.append(process)
        except (psutil.Error, ValueError):
            continue  # gone, or another user's
    end(orphans)
    return ["jupyter"] * bool(orphans)


def has_display() -> bool:
    """Whether a program that we start can show something to the person."""
    shows = ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME", "BROWSER")
    return not sys.platform.startswith("linux") or any(os.environ.get(name) for name in shows)


def browser_trouble() -> str:
    """Why no browser here can show JupyterLab; empty if one can, or if the person looks from elsewhere already."""
    if os.environ.get(HUB) or os.environ.get("WSL_DISTRO_NAME"):
        return ""
    if not has_display():
        return "there is no display here; JupyterLab must be opened from another machine"
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return "no browser is installed"
    program = str(getattr(browser, "name", "")).split(" ")[0]  # none on macOS and Windows, which have one
    if Path(program).name in _TEXT_BROWSERS:
        return f"only {program} is installed, which shows text"
    if sys.platform.startswith("linux") and program and not shutil.which(program):
        return f"the browser {program} is not installed"
    return ""


def open_browser(url: str) -> bool:
    """Open it in the person's browser, which does not get this terminal; False if there is no display."""
    if not has_display():
        return False
    command = [sys.executable, "-m", "webbrowser", url]
    nowhere = subprocess.DEVNULL
    browser = subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True)
    Thread(target=browser.wait, daemon=True).start()
    return True


class Jupyter:
    """`with Jupyter(stack, folder, port) as jupyter: jupyter.wait()`; ends with the block."""

    def __init__(self, stack: Stack, folder: Path, port: int = 8888) -> None:
        self._stack = stack
        self._folder = folder
        self.port = port
        self.token = secrets.token_urlsafe(24)
        self._process: subprocess.Popen[bytes] | None = None

    def url_of(self, notebook: str) -> str:
        """Where a notebook opens, with the token."""
        return f"http://127.0.0.1:{self.port}/lab/tree/{notebook}?token={self.token}"

    def __enter__(self) -> Self:
        for _ in range(_TRIES):
            if not self.port or not is_free(self.port):
                self.port = another({})
            if self._serves():
                return self
        raise LabError(f"JupyterLab did not start; its log: {self._stack.log('jupyter')}")

    def _serves(self) -> bool:
        """Start it, and wait; False if another program took its port meanwhile."""
        own = self._stack.home / _FOLDER
        # JupyterLab would ask whether it may fetch news, on top of the lesson.
        overrides = own / "config" / "labconfig" / "default_setting_overrides.json"
        overrides.parent.mkdir(parents=True, exist_ok=True)
        overrides.write_text(json.dumps({"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}))
        environment = {
            # Without another installation's folders: their kernel called python3 would run our lessons.
            **{name: value for name, value in inherited_environment().items() if not name.startswith("JUPYTER")},
            # So that a terminal in it, and `!orderkit …` in a cell, find the command without an activated environment.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "ORDERKIT_HOME": str(self._stack.home),  # enough for notebooks and terminals: a lab that runs is theirs
            _STARTER: str(os.getpid()),
            "JUPYTER_TOKEN": self.token,
            "JUPYTER_CONFIG_DIR": str(own / "config"),
            "JUPYTER_DATA_DIR": str(own / "data"),
            "JUPYTER_RUNTIME_DIR": str(own / "runtime"),
            "IPYTHONDIR": str(own / "ipython"),
        }
        command = [
            sys.executable,
            "-m",
            "jupyterlab",
            "--no-browser",
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={self.port}",
            "--ServerApp.port_retries=0",
            f"--ServerApp.root_dir={self._folder}",
            "--ServerApp.allow_root=True",
            "--LabApp.news_url=None",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            "--LabApp.extension_manager=readonly",
            # Else it runs npm to look for language servers, which writes into the learner's home.
            "--LanguageServerManager.autodetect=False",
            *self._public_names(),
        ]
        with self._stack.log("jupyter").open("ab") as log:
            self._process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            if self._is_ready():
                return True
            self._end()
        except BaseException:
            self._end()
            raise
        return False

    def _public_names(self) -> list[str]:
        """Options: the address under which a browser elsewhere sees JupyterLab is its own, too; none on a laptop."""
        address = urlsplit(address_of_port(self._stack.public_url, self.port))
        if not self._stack.public_url or not address.hostname:
            return []
        names = [f"--ServerApp.local_hostnames={name}" for name in ("localhost", address.hostname)]
        return [f"--ServerApp.allow_origin={address.scheme}://{address.netloc}", *names]

    def _is_ready(self, timeout_seconds: float = 60) -> bool:
        """Wait until it answers; False if another program has its port. Raises LabError for any other end."""
        assert self._process is not None
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                if is_free(self.port):
                    break
                return False
            if listens(self._process.pid, self.port) and self._answers():
                return True
            time.sleep(0.1)
        raise LabError(f"JupyterLab did not start; its log: {self._stack.log('jupyter')}")

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=5)
        try:
            connection.request("GET", "/api/status", headers={"Authorization": f"token {self.token}"})
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def wait(self) -> None:
        """Until JupyterLab ends."""
        assert self._process is not None
        self._process.wait()

    def _end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
