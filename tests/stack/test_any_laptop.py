"""A lab on a laptop with settings of its own: other servers in the shell, few open files, no account, no display."""

from __future__ import annotations

import json
import os
import pwd
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.terminal import BIN, Terminal, until

from orderkit.errors import LabError
from orderkit.settings import find_home
from orderkit.stack import postgres
from orderkit.stack.lifecycle import down, up
from orderkit.stack.programs import configuration, supervised_environment
from orderkit.stack.stack import find_stack
from orderkit.stack.tcp_ports import choose

# What leads Temporal's client, libpq's clients, Python and HTTP clients elsewhere, or breaks them.
HOSTILE = {
    "TEMPORAL_ADDRESS": "127.0.0.1:1",
    "TEMPORAL_NAMESPACE": "elsewhere",
    "TEMPORAL_API_KEY": "of the cloud",
    "TEMPORAL_TLS": "true",
    "TEMPORAL_TLS_CLIENT_CERT_PATH": "/nowhere/cert",
    "TEMPORAL_PROFILE": "nobody",
    "PGHOST": "nowhere.invalid",
    "PGPORT": "5432,5433",
    "PGUSER": "nobody",
    "PGPASSWORD": "wrong",
    "PGDATABASE": "nothing",
    "PGDATA": "/nowhere",
    "PGSERVICE": "nobody",
    "PGSERVICEFILE": "/nowhere/service",
    "PGPASSFILE": "/nowhere/pass",
    "PGOPTIONS": "-c search_path=nowhere",
    "PGSSLMODE": "require",
    "PGSSLNEGOTIATION": "direct",
    "PGSSLROOTCERT": "/nowhere/root",
    "PGSSLCERT": "/nowhere/cert",
    "PGSSLKEY": "/nowhere/key",
    "PGSSLMINPROTOCOLVERSION": "none",
    "PGTARGETSESSIONATTRS": "standby",
    "PGGSSLIB": "none",
    "PGKRBSRVNAME": "none",
    "http_proxy": "http://127.0.0.1:1",
    "all_proxy": "http://127.0.0.1:1",
    "SSLKEYLOGFILE": "/nowhere/keys",
    "SSL_CERT_FILE": "/nowhere/certs",
    "PYTHONWARNINGS": "error::DeprecationWarning",
}
NOTEBOOK = """
import asyncio, json, os, subprocess, sys
from orderkit.lab import Lab

async def cells():
    lab = await Lab.start()
    await lab.orders.start("from-a-kernel", review="none")
    order = await lab.orders.wait("from-a-kernel")
    report = await lab.audit()
    command = [sys.executable, "-m", "orderkit", "order", "list", "--prefix", "from-a-kernel", "--json"]
    listed = subprocess.run(command, cwd="/", capture_output=True, text=True)
    print(json.dumps([order.state, len(report.findings), listed.stdout, listed.stderr]))
    await lab.close()

asyncio.run(cells())
"""
MOVED = """
import asyncio, os, sys
from pathlib import Path
from orderkit.lab import Lab
from orderkit.stack.lifecycle import down

async def cell():
    lab = await Lab.start()
    await lab.orders.start("kept", review="none")
    print((await lab.orders.wait("kept")).state, os.environ["ORDERKIT_HOME"], flush=True)
    await lab.close()

asyncio.run(cell())
down()
Path(sys.argv[1]).rename(sys.argv[2])
asyncio.run(cell())
"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """Somebody's shell with all of it set, in which a lab was started with 512 open files at most."""
    folder = tmp_path_factory.mktemp("hostile")
    broken = folder / "broken.toml"
    broken.write_text("[[[broken")
    terminal = Terminal(folder, {**HOSTILE, "TEMPORAL_CONFIG_FILE": str(broken), "ORDERKIT_HOME": str(folder / "lab")})
    few = f'ulimit -n 512; exec "{BIN / "orderkit"}" up'
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", few], cwd=folder, env=terminal.full_environment(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        yield terminal
    finally:
        down(folder / "lab")


def test_lab_serves_and_every_command_reaches_it_whatever_the_shell_says(hostile: Terminal) -> None:
    started = hostile.answer("order", "start", "tea", "--review", "none", "--wait")
    assert started["state"] == "shipped"
    assert [order["order_id"] for order in hostile.answer("order", "list")["orders"]] == ["tea"]
    assert hostile.answer("audit") == {"orders": 1, "findings": [], "without_history": 0}
    assert {row["state"] for row in hostile.answer("status")} == {"running"}
    assert [check for check in hostile.answer("doctor") if not check["ok"]] == []
    assert hostile.run("reconcile").returncode == 0
    assert hostile.run("db", "migrate").returncode == 0


def test_kernel_of_that_shell_and_its_commands_reach_the_lab(hostile: Terminal) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NOTEBOOK],
        cwd=hostile.folder,
        env=hostile.full_environment(),
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    state, findings, listed, complaints = json.loads(done.stdout)
    assert (state, findings, complaints) == ("shipped", 0, "")
    assert [order["order_id"] for order in json.loads(listed)["orders"]] == ["from-a-kernel"]


def test_worker_typed_into_that_shell_is_one_of_the_labs_and_shown_by_name(hostile: Terminal, tmp_path: Path) -> None:
    typed = hostile.start("worker", "--queue", "order-tq", log=tmp_path / "log")
    try:
        until(lambda: "worker ready" in (tmp_path / "log").read_text(), "the worker serves")
        rows = {row["name"]: row["pid"] for row in hostile.answer("status")}
        assert rows["extra-order-tq"] == typed.pid

        def found() -> dict[str, str]:
            return {check["name"]: check["detail"] for check in hostile.answer("doctor", status=1)}

        until(lambda: "extra-order-tq (" in found()["queue order-tq"], "doctor shows it at its queue")
        queues = found()
        assert "worker-0 (" in queues["queue order-tq"] and f"extra-order-tq ({typed.pid}@" in queues["queue order-tq"]
        assert "extra" not in queues["queue shipping-tq"] and "worker-0 (" in queues["queue shipping-tq"]
        assert queues["stray processes"] == f"extra-order-tq (pid {typed.pid})"
        hostile.answer("up")
        assert typed.wait(10) == 0
        assert "extra-order-tq" not in {row["name"] for row in hostile.answer("status")}
    finally:
        typed.kill()
        typed.wait()


def test_table_in_a_pipe_is_not_cut(hostile: Terminal) -> None:
    long = "order-" + "x" * 50
    narrow = Terminal(hostile.folder, {**hostile.environment, "COLUMNS": "40"})
    assert narrow.answer("order", "start", long, "--review", "none", "--wait")["state"] == "shipped"
    assert [line for line in narrow.run("order", "list").stdout.splitlines() if line.startswith(f"{long} ")]


def test_list_says_that_there_are_more(hostile: Terminal) -> None:
    total = len(hostile.answer("order", "list")["orders"])
    assert total >= 2
    assert hostile.answer("order", "list", "--limit", "1")["total"] == total
    assert f"the newest 1 of {total} orders" in hostile.run("order", "list", "--limit", "1").stderr
    assert hostile.run("order", "list").stderr == ""


@pytest.mark.parametrize("moved", [".", ".orderkit"])
def test_first_cell_finds_the_lab_that_was_moved_with_its_folder_else_starts_afresh(tmp_path: Path, moved: str) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    environment = Terminal(here).full_environment()
    try:
        done = subprocess.run(
            [sys.executable, "-c", MOVED, str(here / moved), str(there)],
            cwd=here,
            env=environment,
            capture_output=True,
            text=True,
            timeout=110,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [
            f"shipped {here / '.orderkit'}",
            f"shipped {(there if moved == '.' else here) / '.orderkit'}",
        ]
        assert here.exists() is (moved == ".orderkit")
    finally:
        down(here / ".orderkit")
        down(there / ".orderkit")


def test_folder_that_is_gone_is_said_so(tmp_path: Path) -> None:
    code = f"import os; os.rmdir({str(tmp_path / 'gone')!r}); from orderkit.cli import main; main()"
    (tmp_path / "gone").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, "status"],
        cwd=tmp_path / "gone",
        env=Terminal(tmp_path).full_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "the current folder is gone: change into one that exists" in done.stderr
    assert "Traceback" not in done.stderr


def test_postgres_starts_though_another_program_has_its_old_number(tmp_path: Path) -> None:
    home = tmp_path / ".orderkit"
    up(home, programs=("postgres",), preferred={})
    # PostgreSQL takes only a program of its own user for its server.
    stranger = subprocess.Popen(["sleep", "600"], cwd="/", user=postgres.account(home))
    try:
        note = home / "postgres" / "postmaster.pid"
        lines = note.read_text().splitlines(keepends=True)
        down(home)
        note.write_text("".join([f"{stranger.pid}\n", *lines[1:]]))  # as after a power cut
        up(home, programs=("postgres",), preferred={}, timeout_seconds=20)
        assert int(note.read_text().split("\n")[0]) != stranger.pid
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
        down(home)


def test_note_of_a_server_that_is_gone_or_runs_is_left_to_postgresql(tmp_path: Path) -> None:
    note = tmp_path / "postgres" / "postmaster.pid"
    note.parent.mkdir()
    for pid in ("999999999", "nonsense"):
        note.write_text(f"{pid}\n")
        postgres.forget_stranger(tmp_path)
        assert note.exists()


def test_user_id_without_an_account_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    monkeypatch.setattr(postgres, "is_root", lambda: False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(LabError, match=rf"user id {os.geteuid()} has no account .* >> /etc/passwd"):
        postgres.permit(tmp_path)
    (tmp_path / "postgres").mkdir()
    assert postgres.permit(tmp_path) == []  # its data folder is there: the server itself asks for no name


def test_servers_are_told_a_name_and_a_home_where_the_shell_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = choose(None, {})[0]
    monkeypatch.delenv("USER", raising=False)
    monkeypatch.setenv("HOME", "/home/ada")
    told = supervised_environment(tmp_path, ports, "postgresql://x")
    assert (told["USER"], told["HOME"]) == ("orderkit", "/home/ada")
    monkeypatch.setenv("USER", "ada")
    monkeypatch.delenv("HOME")
    told = supervised_environment(tmp_path, ports, "postgresql://x")
    assert (told["USER"], told["HOME"]) == ("ada", str(tmp_path))


def test_data_of_a_user_id_without_an_account_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "postgres").mkdir()

    def nobody(path: Path) -> str:
        raise KeyError("uid")

    monkeypatch.setattr(postgres, "is_root", lambda: True)
    monkeypatch.setattr(Path, "owner", nobody)
    with pytest.raises(LabError, match=r"which has no account here: .*chown -R pgserver"):
        postgres.account(tmp_path)


@pytest.mark.parametrize(("hard", "asked"), [(512, 512), (1_048_576, 1024), (resource.RLIM_INFINITY, 1024)])
def test_supervisord_asks_for_no_more_open_files_than_it_may_have(
    monkeypatch: pytest.MonkeyPatch, hard: int, asked: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, hard))
    assert f"minfds={asked}\n" in configuration([], 1, "")


def test_home_that_a_person_named_is_theirs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ORDERKIT_HOME", str(tmp_path / "not" / "yet"))
    assert find_home() == tmp_path / "not" / "yet"
    assert find_stack(find_home()) is None
