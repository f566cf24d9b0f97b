"""The lab's processes: real servers, really killed. Each test has a folder and ports of its own.

One file, though long: the tests of a file run one after the other, so there is never more than one of these labs.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
from temporalio.client import Client

from orderkit.doctor.doctor import doctor
from orderkit.doctor.machine import Check
from orderkit.errors import LabError, SettingsError
from orderkit.settings import Settings, find_home
from orderkit.stack import lifecycle
from orderkit.stack.lifecycle import down, up
from orderkit.stack.processes import processes_of
from orderkit.stack.programs import Program
from orderkit.stack.stack import Stack, find_stack
from orderkit.stack.status import status
from orderkit.stack.tcp_ports import is_free

SERVERS = ("postgres", "temporal")
DUMMY = Program("dummy", "exec sleep 1000")
FREE: dict[str, int] = {}  # no port is preferred: the tests run beside labs and beside each other


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder for one lab, with a name that is hard on configuration files; nothing of it may survive the test."""
    home = tmp_path / "my lab 50%s 'x' #1 ;y" / ".orderkit"
    yield home
    down(home)
    assert processes_of(home) == []


def start(home: Path, programs: tuple[str, ...] = ("postgres",), extra: tuple[Program, ...] = ()) -> Stack:
    return up(home, programs=programs, extra=extra, preferred=FREE)


def until(met: Callable[[], object], timeout_seconds: float = 15) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not met():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


@pytest.mark.parametrize("program", ["postgres", "api"])
def test_a_port_that_is_lost_between_its_choice_and_its_use_is_replaced(
    home: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    real, told, lost = lifecycle._launch, list[str](), list[int]()
    with ExitStack() as strangers:

        def launch(*arguments: Any) -> Stack:
            stack = real(*arguments)
            if not lost:
                lost.append(getattr(stack.ports, program))
                strangers.enter_context(socket.create_server(("127.0.0.1", lost[0])))
            return stack

        monkeypatch.setattr(lifecycle, "_launch", launch)
        stack = up(home, preferred=FREE, progress=told.append)
        assert [line for line in told if f"Port {lost[0]} was taken meanwhile" in line]
        assert getattr(stack.ports, program) != lost[0]


def query(url: str, sql: str) -> object:
    async def ask() -> object:
        connection = await asyncpg.connect(url, timeout=5)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(ask())


def answers(url: str) -> bool:
    try:
        return query(url, "SELECT 1") == 1
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False


def start_workflow(stack: Stack, workflow_id: str) -> None:
    async def ask() -> None:
        client = await Client.connect(stack.temporal_address)
        await client.start_workflow("Nobody", id=workflow_id, task_queue="nobody")

    asyncio.run(ask())


def workflow_state(stack: Stack, workflow_id: str) -> str:
    async def ask() -> str:
        client = await Client.connect(stack.temporal_address)
        state = (await client.get_workflow_handle(workflow_id).describe()).status
        return state.name if state else ""

    return asyncio.run(ask())


def supervisord(stack: Stack) -> psutil.Process:
    return psutil.Process(stack.supervisor.pid())


def pids(stack: Stack) -> dict[str, int]:
    return {name: info.pid for name, info in stack.supervisor.processes().items() if info.pid}


def test_second_up_adopts_what_runs(home: Path) -> None:
    first = start(home, SERVERS)
    before = pids(first)
    second = start(home, SERVERS)
    assert pids(second) == before
    assert second.ports == first.ports
    assert set(before) == set(SERVERS)


def test_second_up_starts_what_died_and_wakes_what_is_paused(home: Path) -> None:
    stack = start(home, extra=(DUMMY,))
    stack.stop_program("postgres")
    stack.pause("dummy")
    paused = stack.pid("dummy")
    again = start(home, extra=(DUMMY,))
    assert answers(again.database_url)
    assert again.pid("dummy") == paused
    assert psutil.Process(paused or 0).status() != psutil.STATUS_STOPPED


def test_a_program_that_dies_at_that_moment_is_said_to_be_gone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = start(home, extra=(DUMMY,))
    children = psutil.Process.children

    def dies_first(process: psutil.Process, recursive: bool = False) -> list[psutil.Process]:
        process.kill()
        process.wait(10)  # until supervisord has collected it, too
        return children(process, recursive)

    monkeypatch.setattr(psutil.Process, "children", dies_first)
    killed = None
    for do in (stack.pause, stack.resume):
        killed = stack.wait_running("dummy", other_than=killed)
        with pytest.raises(LabError, match="dummy is not running"):
            do("dummy")


def test_second_up_can_add_programs(home: Path) -> None:
    postgres = start(home).pid("postgres")
    stack = start(home, extra=(DUMMY, Program("crew", "exec sleep 1000", copies=2)))
    assert set(pids(stack)) == {"postgres", "dummy", "crew-0", "crew-1"}
    assert stack.pid("postgres") == postgres


def test_killed_postgres_is_back_on_its_port_with_its_data(home: Path) -> None:
    stack = start(home)
    query(stack.database_url, "CREATE TABLE kept AS SELECT 42 AS answer")
    killed = stack.kill("postgres")
    assert stack.wait_running("postgres", other_than=killed) != killed
    until(lambda: answers(stack.database_url))
    assert query(stack.database_url, "SELECT answer FROM kept") == 42


def test_killed_temporal_is_back_on_its_port_with_its_workflows(home: Path) -> None:
    stack = start(home, ("temporal",))
    start_workflow(stack, "kept")
    killed = stack.kill("temporal")
    assert stack.wait_running("temporal", other_than=killed) != killed
    until(lambda: not is_free(stack.ports.temporal))
    assert start(home, ("temporal",)).ports == stack.ports
    assert workflow_state(stack, "kept") == "RUNNING"


def test_program_killed_from_outside_is_started_again(home: Path) -> None:
    stack = start(home, (), (DUMMY,))
    until(lambda: stack.supervisor.info("dummy").state == "running")
    killed = stack.pid("dummy") or 0
    os.kill(killed, signal.SIGKILL)
    assert stack.wait_running("dummy", other_than=killed) != killed


def test_kill_without_restart_leaves_it_dead(home: Path) -> None:
    stack = start(home, (), (DUMMY,))
    killed = stack.kill("dummy", restart=False)
    until(lambda: stack.supervisor.info("dummy").state == "stopped")
    assert not psutil.pid_exists(killed)
    with pytest.raises(LabError, match="not running"):
        stack.kill("dummy")
    stack.start_program("dummy")
    assert stack.wait_running("dummy") != killed


def test_paused_postgres_holds_still_and_resumes(home: Path) -> None:
    stack = start(home)
    stack.pause("postgres")
    assert next(row.state for row in status(home) if row.name == "postgres") == "paused"
    stack.resume("postgres")
    assert answers(stack.database_url)


def test_postgres_killed_while_paused_is_back(home: Path) -> None:
    stack = start(home)
    stack.pause("postgres")
    killed = stack.kill("postgres")
    assert stack.wait_running("postgres", other_than=killed) != killed
    until(lambda: answers(stack.database_url))


def test_workers_scale_by_name(home: Path) -> None:
    stack = start(home, ())
    for count in (3, 1, 0):
        stack.scale_workers(count)
        known = stack.supervisor.processes()
        started = [name for name, info in known.items() if info.state not in ("stopped", "stopping")]
        assert started == [f"worker-{number}" for number in range(count)]
    with pytest.raises(LabError, match="0 to 8 workers"):
        stack.scale_workers(9)


def test_down_ends_what_lost_its_supervisor_and_up_works_again(home: Path) -> None:
    stack = start(home, SERVERS, (DUMMY,))
    supervisord(stack).kill()
    assert {"postgres", "temporal", "dummy"} <= {row.name for row in status(home) if row.state == "orphaned"}
    assert {"postgres", "dummy"} <= set(down(home))
    assert processes_of(home) == []
    assert answers(start(home, SERVERS).database_url)


def test_up_replaces_what_lost_its_supervisor(home: Path) -> None:
    stack = start(home, extra=(DUMMY,))
    query(stack.database_url, "CREATE TABLE kept AS SELECT 42 AS answer")
    before = pids(stack)
    supervisord(stack).kill()
    again = start(home, extra=(DUMMY,))
    assert again.ports == stack.ports
    assert not set(before.values()) & set(pids(again).values())
    assert query(again.database_url, "SELECT answer FROM kept") == 42


def test_down_ends_a_paused_postgres_and_a_supervisor_that_hangs(home: Path) -> None:
    stack = start(home)
    stack.pause("postgres")
    supervisord(stack).suspend()
    down(home)
    assert processes_of(home) == []


def test_down_ends_what_ignores_it(home: Path) -> None:
    start(home, (), (Program("deaf", "trap '' TERM; while :; do sleep 1; done", stop_seconds=1),))
    assert down(home) == ["deaf", "supervisord"]


def test_down_without_a_lab_does_nothing(home: Path) -> None:
    assert down(home) == []
    assert not home.exists()


def test_down_works_when_the_folder_is_gone(home: Path) -> None:
    stack = start(home, (), (DUMMY,))
    home.rename(home.with_name("moved"))
    try:
        assert down(home) == ["dummy", "supervisord"]
    finally:
        home.with_name("moved").rename(home)
    assert not stack.alive()


def test_down_spares_processes_that_only_use_the_lab(home: Path) -> None:
    stack = start(home)
    environment = os.environ | stack.environment()
    with subprocess.Popen(["sleep", "1000"], env=environment) as mine:
        down(home)
        assert mine.poll() is None
        mine.kill()


def test_data_and_ports_survive_down_and_up(home: Path) -> None:
    stack = start(home, SERVERS)
    query(stack.database_url, "CREATE TABLE kept AS SELECT 42 AS answer")
    start_workflow(stack, "kept")
    down(home)
    assert not answers(stack.database_url)
    again = start(home, SERVERS)
    assert again.ports == stack.ports
    assert query(again.database_url, "SELECT answer FROM kept") == 42
    assert workflow_state(again, "kept") == "RUNNING"


def test_every_taken_port_is_avoided_and_named(home: Path) -> None:
    with ExitStack() as stack:
        taken = {name: stack.enter_context(listener()) for name in ("postgres", "temporal", "temporal_ui", "api")}
        preferred = {name: each.getsockname()[1] for name, each in taken.items()}
        lab = up(home, programs=SERVERS, preferred=preferred)
        assert answers(lab.database_url)
        said = [notice for notice in lab.notices if "is taken by" in notice]
        for port, notice in zip(preferred.values(), said, strict=True):
            assert f"Port {port} " in notice
            assert str(os.getpid()) in notice or "something else" in notice
        down(home)
        said = [
            notice for notice in up(home, programs=("postgres",), preferred=preferred).notices if ", not " in notice
        ]
        assert len(said) == 4


def listener() -> socket.socket:
    """Something else that listens."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen()
    return server


def test_port_that_is_taken_while_its_program_was_down_is_given_up(home: Path) -> None:
    lab = start(home)
    lab.stop_program("postgres")
    with closing(socket.socket()) as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", lab.ports.postgres))
        thief.listen()
        again = start(home)
        assert again.ports.postgres != lab.ports.postgres
        assert answers(again.database_url)


def test_interrupted_first_start_is_begun_afresh(home: Path) -> None:
    (home / "postgres.new" / "data").mkdir(parents=True)
    (home / "temporal.db").touch()
    stack = start(home, SERVERS)
    assert answers(stack.database_url)
    assert not (home / "postgres.new").exists()


def run_starter(home: Path) -> subprocess.Popen[str]:
    """A process that brings the servers up and says so."""
    code = (
        "import sys; from pathlib import Path; from orderkit.stack.lifecycle import up; "
        "up(Path(sys.argv[1]), preferred={}, programs=('postgres', 'temporal')); print('it is up', flush=True)"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(home)], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.mark.parametrize("moment", ["postgres.new", "postgres", "temporal.db"])
def test_starter_killed_midway_leaves_a_lab_that_can_be_ended_and_started(home: Path, moment: str) -> None:
    with run_starter(home) as starter:
        until((home / moment).exists)
        starter.kill()
    down(home)
    assert processes_of(home) == []
    assert answers(start(home, SERVERS).database_url)


def test_interrupted_up_takes_back_what_it_started(home: Path) -> None:
    with run_starter(home) as starter:
        until((home / "postgres").exists)
        starter.send_signal(signal.SIGINT)
        said, _ = starter.communicate(timeout=60)
    if said:  # it was up before the signal came, and that is right too
        down(home)
    assert processes_of(home) == []


def test_two_ups_at_once_make_one_lab(home: Path) -> None:
    with ThreadPoolExecutor() as pool:
        one, other = pool.map(lambda _: start(home, SERVERS), range(2))
    assert one.ports == other.ports
    assert len([process for process in processes_of(home) if process.name() == "temporal"]) == 1


def test_program_that_dies_at_once_is_reported_with_its_log(home: Path) -> None:
    broken = Program("broken", "echo the reason is here; exit 3")
    with pytest.raises(LabError, match="the reason is here"):
        up(home, programs=(), extra=(broken,), preferred=FREE, timeout_seconds=3)
    assert processes_of(home) == []  # a start that failed takes back what it started


def test_passwords_are_asked_for_and_kept_private(home: Path) -> None:
    stack = start(home)
    for user in ("orderkit", "postgres"):
        for wrong in ("", ":wrong"):
            with pytest.raises(asyncpg.InvalidPasswordError):
                query(f"postgresql://{user}{wrong}@127.0.0.1:{stack.ports.postgres}/orderkit", "SELECT 1")
    for name in ("stack.json", "secrets.json", "supervisord.conf"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600
    assert stack.secrets.orderkit not in repr(stack)
    assert query(stack.superuser_url(), "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is True
    assert query(stack.database_url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False


def test_everything_listens_on_loopback_only(home: Path) -> None:
    start(home, SERVERS)
    addresses = {
        connection.laddr.ip
        for process in processes_of(home)
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


def test_lab_runs_without_the_learners_own_temporal_configuration(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_API_KEY", "of the cloud")
    stack = start(home, (), (Program("told", "env > told; exec sleep 1000"),))
    until((home / "told").exists)
    told = dict(line.partition("=")[::2] for line in (home / "told").read_text().splitlines())
    assert "TEMPORAL_API_KEY" not in told
    assert told["TEMPORAL_ADDRESS"] == stack.temporal_address
    assert told["ORDERKIT_DATABASE_URL"] == stack.database_url


def failing(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks if not check.ok}


def test_doctor_names_a_remedy_for_everything_that_is_wrong(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORDERKIT_DATABASE_URL", raising=False)
    assert failing(doctor(home)).keys() == {"supervisord"}
    stack = start(home, SERVERS)
    wrong = failing(doctor(home))
    assert wrong.keys() == {"worker-0", "api", "schema", "queue order-tq", "queue shipping-tq", "API"}
    supervisord(stack).kill()
    wrong = failing(doctor(home))
    assert wrong["stray processes"].remedy == "orderkit up"
    down(home)
    wrong = failing(doctor(home))
    assert {"supervisord", "postgres", "temporal", "database", "Temporal", "API"} <= wrong.keys()
    assert all(check.remedy for check in wrong.values())


def test_doctor_examines_servers_elsewhere(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in start(home, SERVERS).environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("ORDERKIT_HOME")
    checks = {check.name: check for check in doctor(tmp_path / "no lab here")}
    assert checks["database"].ok
    assert checks["Temporal"].ok
    assert not checks["queue order-tq"].ok
    assert not {"supervisord", "stray processes", "lab folder"} & checks.keys()


def test_status_says_state_pid_memory_and_place(home: Path) -> None:
    stack = start(home, SERVERS)
    rows = {row.name: row for row in status(home)}
    assert rows["postgres"].pid == stack.pid("postgres")
    assert rows["temporal"].memory_mb > 20
    assert str(stack.ports.postgres) in rows["postgres"].url
    assert rows["worker-0"].state == rows["api"].state == "stopped"
    down(home)
    assert {row.state for row in status(home)} == {"stopped"}
    assert find_stack(home) is not None


def test_settings_name_what_is_wrong_and_hide_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERKIT_API_PORT", "eighty")
    monkeypatch.setenv("ORDERKIT_DATABASE_URL", "mysql://root:geheim@db/x")
    with pytest.raises(SettingsError, match=r"ORDERKIT_DATABASE_URL: .*postgresql://.*ORDERKIT_API_PORT: ") as caught:
        Settings()
    assert "geheim" not in str(caught.value)


def test_home_is_the_nearest_folder_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORDERKIT_HOME", raising=False)
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert find_home() == tmp_path / "a" / "b" / ".orderkit"
    (tmp_path / ".orderkit").mkdir()
    assert find_home() == tmp_path / ".orderkit"
    monkeypatch.setenv("ORDERKIT_HOME", str(tmp_path / "elsewhere"))
    assert find_home() == tmp_path / "elsewhere"
