"""A lab whose PostgreSQL (TLS, password) and Temporal are somebody else's: it brings workers and API, kills those.

One file, though long: its tests share the servers, which take seconds to start.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import nbformat
import pytest
import pytest_asyncio
from nbclient import NotebookClient
from support import shop
from support.servers_elsewhere import Servers, servers_elsewhere
from support.terminal import Terminal, until

from orderkit.console.workers import control
from orderkit.errors import LabError, SettingsError
from orderkit.lab import Lab
from orderkit.settings import HOME_FOLDER
from orderkit.stack.elsewhere import FOLDER, Elsewhere
from orderkit.stack.lifecycle import down, up
from orderkit.stack.processes import processes_of
from orderkit.stack.readiness import QUEUES
from orderkit.stack.secrets import make_secrets
from orderkit.stack.stack import Stack, find_stack
from orderkit.stack.target import find_place, find_target
from orderkit.stack.tcp_ports import choose
from orderkit.temporal.codec import new_key

OURS = {"supervisord", "worker-0", "api"}


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Somebody else's servers; whatever the tests do, they are not killed."""
    with servers_elsewhere(tmp_path_factory.mktemp("theirs")) as servers:
        before = servers.pids()
        yield servers
        assert servers.pids() == before


@pytest.fixture
def terminal(theirs: Servers, tmp_path: Path) -> Iterator[Terminal]:
    """A shell that names those servers; nothing of its lab may survive the test."""
    yield Terminal(tmp_path, theirs.variables)
    down(tmp_path / HOME_FOLDER)
    assert processes_of(tmp_path / HOME_FOLDER / FOLDER) == []


@pytest_asyncio.fixture(scope="module")
async def lab(theirs: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    """What a notebook holds, in a kernel that was told of those servers."""
    home = tmp_path_factory.mktemp("notebook") / HOME_FOLDER
    before = dict(os.environ)
    try:
        for name in [name for name in os.environ if name.startswith(("ORDERKIT_", "TEMPORAL_", "PG"))]:
            del os.environ[name]
        os.environ |= {**theirs.variables, "ORDERKIT_HOME": str(home)}
        lab = await Lab.start()
        yield lab
        await lab.close()
    finally:
        os.environ.clear()
        os.environ.update(before)
        down(home)


async def shipped(lab: Lab, name: str) -> bool:
    await lab.orders.start(name, review="none", deadline=60)
    return (await lab.orders.wait(name)).state == "shipped"


async def polls_all_queues(lab: Lab, worker: str) -> bool:
    found = (await lab.doctor()).set_index("check")["found"]
    return all(worker in found[f"queue {queue}"] for queue in QUEUES)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What a cell would show; outside of a notebook it is logged."""
    return [record.getMessage() for record in caplog.records if record.name == "orderkit.lab.progress"]


def pids(terminal: Terminal) -> dict[str, int | None]:
    return {row["name"]: row["pid"] for row in terminal.answer("status")}


def test_up_brings_worker_and_api_only_and_every_command_reaches_the_servers(
    terminal: Terminal, theirs: Servers
) -> None:
    places = terminal.answer("up")
    home = terminal.folder / HOME_FOLDER / FOLDER
    assert places["home"] == str(home) and not [each for each in places["notices"] if "the API" not in each]
    assert (places["postgres"], places["temporal"]) == (theirs.address, theirs.stack.temporal_address)
    assert places["temporal_ui"] == theirs.stack.ui_url
    assert {name for name, pid in pids(terminal).items() if pid} == OURS
    assert {row["state"] for row in terminal.answer("status")} == {"running"}
    assert terminal.answer("order", "start", "tea", "--review", "none", "--wait")["state"] == "shipped"
    assert terminal.answer("audit", "tea") == {"orders": 1, "findings": [], "without_history": 0}
    assert terminal.answer("db", "migrate") == {"applied": []}
    spared = terminal.run("kill", "temporal")
    assert spared.returncode == 1 and "is not this lab's, so it was not killed" in spared.stderr
    checks = {check["name"]: check for check in terminal.answer("doctor")}
    assert "worker-0 (" in checks["queue order-tq"]["detail"]
    assert str(home) in checks["servers elsewhere"]["detail"]

    [kept] = home.glob("stack.json")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert theirs.password not in "".join(path.read_text() for path in (home / "logs").iterdir())
    assert not (terminal.folder / HOME_FOLDER / "postgres").exists()

    # Whoever finds the lab by its folder needs no variables: a kernel or a terminal of JupyterLab.
    stranger = Terminal(terminal.folder, {"ORDERKIT_HOME": str(home)})
    assert stranger.answer("audit", "tea") == {"orders": 1, "findings": [], "without_history": 0}
    assert stranger.answer("up")["home"] == str(home)
    assert pids(stranger) == pids(terminal)

    # Another shell, which does not name the servers, sees it as well, and `down` there ends it.
    other = Terminal(terminal.folder)
    assert {row["name"] for row in other.answer("status") if row["pid"]} == {f"{FOLDER}/{name}" for name in OURS}
    assert set(other.answer("down")["ended"]) == OURS
    assert {row["state"] for row in terminal.answer("status", status=1)} == {"running", "stopped"}


def test_second_up_adopts_and_other_variables_start_other_processes(terminal: Terminal) -> None:
    terminal.answer("up")
    before = pids(terminal)
    terminal.answer("up")
    assert pids(terminal) == before

    keyed = Terminal(terminal.folder, {**terminal.environment, "ORDERKIT_API_KEY": "s3cret"})
    places = keyed.answer("up")
    after = pids(keyed)
    assert not {before[name] for name in OURS} & {after[name] for name in OURS}
    assert httpx.get(places["api"].replace("/docs", "/orders"), trust_env=False).status_code == 401
    assert keyed.run("order", "list").returncode == 0


def test_own_lab_of_the_folder_is_left_alone(theirs: Servers, tmp_path: Path) -> None:
    own = tmp_path / HOME_FOLDER
    try:
        postgres = up(own, programs=("postgres",), preferred={}).pid("postgres")
        shell = Terminal(tmp_path, theirs.variables)
        shell.answer("up")
        shell.answer("down")
        stack = find_stack(own)
        assert stack and stack.pid("postgres") == postgres
        with pytest.raises(LabError, match="has its own servers"):
            up(own, elsewhere=Elsewhere.from_environment(theirs.variables))
    finally:
        down(own)


async def test_workers_and_api_are_killed_stopped_and_started(lab: Lab) -> None:
    assert repr(lab) == "Lab: postgres running, temporal running, worker-0 running, api running"
    stack = lab._own_stack()
    worker, api = stack.pid("worker-0"), stack.pid("api")
    await lab.workers.kill()
    await lab.api.kill()
    assert worker != stack.pid("worker-0") and api != stack.pid("api")
    assert await shipped(lab, "after-the-kill")

    await lab.workers.stop()
    await lab.orders.start("waits", review="none", deadline=60)
    assert (await lab.orders.status("waits")).state == "starting"
    await lab.workers.start(2)
    assert (await lab.orders.wait("waits")).state == "shipped"
    assert lab.workers.count == 2
    await lab.workers.start(1)


@pytest.mark.parametrize(("name", "service"), [("postgres", "postgresql"), ("temporal", "temporal")])
async def test_server_elsewhere_is_not_killed_and_it_is_said_why(
    lab: Lab, theirs: Servers, caplog: pytest.LogCaptureFixture, name: str, service: str
) -> None:
    before = theirs.pids()
    with caplog.at_level(logging.WARNING):
        await getattr(lab, name).kill()
    [told] = said(caplog)
    assert "is not this lab's, so it was not killed" in told and f"docker compose kill {service}" in told
    assert theirs.password not in told
    assert theirs.pids() == before
    assert repr(getattr(lab, name)).startswith(f"{name}: running, at ")
    with pytest.raises(LabError, match="only its administrator"):
        lab._own_stack().superuser_url()


async def test_somebody_elses_worker_is_shown_and_outlives_the_stop(
    lab: Lab, theirs: Servers, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    assert lab.workers.others == []
    folder = tmp_path / "another"
    folder.mkdir()
    foreign = Terminal(folder, theirs.variables).start("worker", log=tmp_path / "log")
    try:
        await asyncio.to_thread(until, lambda: "worker ready" in (tmp_path / "log").read_text(), "it serves")
        await asyncio.to_thread(until, lambda: lab.workers.others, "it polls")
        [shown] = lab.workers.others
        assert f"({foreign.pid}@" in shown
        assert repr(lab.workers) == f"1 worker and {shown}"
        assert repr(lab).endswith(f"{shown} running")
        await shop.until(lambda: polls_all_queues(lab, shown), "doctor shows it on both queues")  # one is shown first

        with caplog.at_level(logging.WARNING):
            await lab.workers.stop()
        assert [shown in told and "docker compose stop worker" in told for told in said(caplog)] == [True]
        assert shown in await control("stop", lab.workers)
        assert lab.workers.count == 0 and foreign.poll() is None
        assert await shipped(lab, "by-the-other")
    finally:
        foreign.terminate()
        foreign.wait(20)
        await lab.workers.start()
    assert lab.workers.others == []
    assert "No worker runs" in await control("stop", lab.workers)
    await lab.workers.start()


async def test_worker_typed_by_hand_is_one_of_the_labs(lab: Lab, theirs: Servers, tmp_path: Path) -> None:
    home = lab._own_stack().home.parent
    shell = Terminal(tmp_path, {**theirs.variables, "ORDERKIT_HOME": str(home)})
    typed = shell.start("worker", "--queue", "order-tq", log=tmp_path / "log")
    try:
        await asyncio.to_thread(until, lambda: "worker ready" in (tmp_path / "log").read_text(), "it serves")
        assert lab.workers.extra == ["extra-order-tq"] and lab.workers.others == []
        await lab.workers.start()
        assert typed.wait(10) == 0
    finally:
        typed.kill()
        typed.wait()


async def test_notebook_shows_why_and_goes_on(lab: Lab) -> None:
    cells = ["from orderkit.lab import Lab\nlab = await Lab.start()", "await lab.postgres.kill()\n'and on'"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    await NotebookClient(notebook, timeout=60).async_execute()
    why, result = notebook.cells[1].outputs
    assert "was not killed" in why.data["text/plain"] and "was not killed" in why.data["text/html"]
    assert result.data["text/plain"] == "'and on'"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"PGPASSWORD": "wrong"}, "PostgreSQL refuses ORDERKIT_DATABASE_URL: .*password"),
        ({"ORDERKIT_DATABASE_URL": "postgresql://u@127.0.0.1:1/d"}, "PostgreSQL at .*127.0.0.1:1/d.* does not answer"),
        ({"TEMPORAL_ADDRESS": "127.0.0.1:1"}, "Temporal at 127.0.0.1:1, .* does not answer"),
        ({"TEMPORAL_NAMESPACE": "nobody"}, "Temporal at .* does not answer"),
    ],
)
def test_servers_that_do_not_serve_are_named_and_nothing_stays(
    theirs: Servers, tmp_path: Path, changed: dict[str, str], told: str
) -> None:
    servers = Elsewhere.from_environment({**theirs.variables, **changed})
    with pytest.raises(LabError, match=told):
        up(tmp_path / FOLDER, elsewhere=servers, preferred={}, timeout_seconds=2)
    assert processes_of(tmp_path / FOLDER) == []


def test_settings_are_taken_from_the_variables_and_from_nobody_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ca.pem").write_text("CA")
    key = new_key()
    servers = Elsewhere.from_environment(
        {
            "ORDERKIT_DATABASE_URL": "postgresql://db/shop",
            "ORDERKIT_CODEC_KEY": key,
            "TEMPORAL_ADDRESS": "cloud:7233",
            "TEMPORAL_NAMESPACE": "shop",
            "TEMPORAL_API_KEY": "secret",
            "TEMPORAL_TLS_SERVER_CA_CERT_PATH": "ca.pem",
            "PATH": "not kept",
        }
    )
    assert servers is not None and "secret" not in repr(servers)
    assert servers.variables["TEMPORAL_TLS_SERVER_CA_CERT_PATH"] == str(tmp_path / "ca.pem")
    assert "PATH" not in servers.variables
    monkeypatch.setenv("TEMPORAL_ADDRESS", "another:7233")
    monkeypatch.setenv("ORDERKIT_API_KEY", "another")
    monkeypatch.setenv("ORDERKIT_TEMPORAL_UI_URL", "http://another")
    connection = servers.temporal.connection
    assert (connection["target_host"], connection["namespace"], connection["api_key"]) == (
        "cloud:7233",
        "shop",
        "secret",
    )
    assert connection["tls"]
    assert len(servers.temporal.codec_keys) == 1
    assert servers.settings().api_key is None
    assert servers.settings().temporal_ui_url == "http://127.0.0.1:8080"
    assert servers.environment()["ORDERKIT_API_KEY"] == ""
    wrong = Elsewhere.from_environment({"ORDERKIT_DATABASE_URL": "postgresql://db/shop", "TEMPORAL_PROFILE": "nobody"})
    with pytest.raises(SettingsError, match="Temporal's own settings"):
        _ = wrong and wrong.temporal


def test_which_lab_is_meant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "ORDERKIT_DATABASE_URL",
        "ORDERKIT_HOME",
        "ORDERKIT_API_HOST",
        "ORDERKIT_API_PORT",
        "TEMPORAL_ADDRESS",
    ):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / HOME_FOLDER
    home.mkdir()
    own = Stack(home, choose(None, {})[0], make_secrets(home))
    own.save()
    assert find_place(home) == (home, None)

    # A lab's own URL was put there by that lab.
    monkeypatch.setenv("ORDERKIT_DATABASE_URL", own.database_url)
    assert find_place(home) == (home, None)

    monkeypatch.setenv("ORDERKIT_DATABASE_URL", "postgresql://db/shop")
    place = find_place(home)
    assert place.home == home / FOLDER and place.elsewhere
    assert find_target(home).stack is None  # no lab uses them: they are reached as the variables say

    place.home.mkdir()
    Stack(
        place.home, choose(None, {}, ("api", "supervisor"))[0], make_secrets(place.home), elsewhere=place.elsewhere
    ).save()
    kept = find_stack(place.home)
    assert kept and kept.elsewhere == place.elsewhere and not [each for each in kept.notices if "API" not in each]
    assert find_place(place.home) == place  # and not one more folder inside
    monkeypatch.delenv("ORDERKIT_DATABASE_URL")
    assert find_place(place.home) == (place.home, None)
    with pytest.raises(LabError, match="is not running"):
        find_target(place.home)
