"""The command line as people use it: real processes, one stack, a home that must stay empty.

One file, though long: its tests share a lab, which takes seconds to start.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.terminal import Terminal, predicted, processes_below

from orderkit.cli import run
from orderkit.core.faults import FaultPlan, Scenario, parse_plan
from orderkit.stack.lifecycle import down
from orderkit.stack.secrets import make_secrets
from orderkit.stack.stack import Stack
from orderkit.stack.tcp_ports import choose

FAULTS = "charge=error,hang,ok; dispatch=error_after"
HEAVY = ("temporalio", "asyncpg", "pandas", "numpy", "matplotlib", "fastapi", "uvicorn", "ipywidgets", "pydantic")


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A shell in an empty folder, with the stack up; afterwards nothing runs, and the user's home is still empty."""
    place = tmp_path_factory.mktemp("cli")
    lab, user = place / "lab", place / "user"
    user.mkdir()
    terminal = Terminal(user, {"ORDERKIT_HOME": str(lab), "HOME": str(user)})
    try:
        assert terminal.answer("up")["home"] == str(lab)
        yield terminal
        assert "worker-0" in terminal.answer("down")["ended"]
        assert processes_below(place) == []
        assert list(user.iterdir()) == []
    finally:
        down(lab)


@pytest.fixture
def here(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """This process, led to the stack as the terminal is."""
    set_environment(monkeypatch, terminal.environment)
    return terminal


def set_environment(monkeypatch: pytest.MonkeyPatch, environment: Any) -> None:
    for name in ("ORDERKIT_DATABASE_URL", "ORDERKIT_API_HOST", "ORDERKIT_API_PORT", "TEMPORAL_ADDRESS"):
        monkeypatch.setenv(name, "")  # so that what a command sets is taken back afterwards
        monkeypatch.delenv(name)
    for name in ("TEMPORAL_NAMESPACE", "TEMPORAL_CONFIG_FILE", "ORDERKIT_HOME"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def orderkit(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run a command in this process: quicker than a new one. Returns the exit status."""
    monkeypatch.setattr(sys, "argv", ["orderkit", *arguments])
    with pytest.raises(SystemExit) as caught:
        run()
    return int(caught.value.code or 0)


def test_help_loads_nothing_heavy() -> None:
    code = f"import sys, orderkit.cli; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_a_command_that_used_temporal_ends_before_pythons_tear_down(terminal: Terminal) -> None:
    """Where a thread of the SDK meets the tear-down, Python aborts, once in hundreds of times. The status is kept."""
    for arguments, status in (("reconcile", 0), ("audit nobody", 1)):
        code = (
            "import atexit, sys; atexit.register(print, 'torn down'); from orderkit.cli import main; "
            f"sys.argv = ['orderkit', *{arguments!r}.split()]; main()"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], env=terminal.full_environment(), capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, "torn down" in done.stdout) == (status, False), done.stderr


def test_scripted_faults_give_the_scripted_attempts_every_time(terminal: Terminal) -> None:
    same = ("order", "start", "same-everywhere", "--faults", "workshop", "--seed", "372")
    with ThreadPoolExecutor() as pool:
        demos = [pool.submit(terminal.answer, "demo", "--faults", FAULTS, "--order-id", f"demo-{n}") for n in (1, 2)]
        shown = pool.submit(terminal.run, "demo", "--faults", FAULTS)
        started = pool.submit(terminal.answer, *same, "--review", "none", "--deadline", "60", "--wait")
    expected = [
        ("receive", 1, "completed"),
        ("validate", 1, "completed"),
        ("review", 1, "completed"),
        ("charge", 1, "failed"),
        ("charge", 2, "timed_out"),
        ("charge", 3, "completed"),
        ("prepare", 1, "completed"),
        ("dispatch", 1, "failed"),
        ("dispatch", 2, "completed"),
        ("ship", 1, "completed"),
    ]
    assert expected == predicted(parse_plan(FAULTS), "demo-1")
    for demo in demos:
        assert demo.result()["status"]["state"] == "shipped"
        assert triples(demo.result()) == expected
        assert all(attempt["duration_seconds"] >= 0 for attempt in demo.result()["attempts"])
    human = shown.result()
    assert human.returncode == 0, human.stderr
    rows = [line.split() for line in human.stdout.splitlines()]
    assert [(row[0], int(row[1]), row[2]) for row in rows if len(row) > 3 and row[1].isdigit()] == expected
    assert "shipped; payment charged 50.90" in human.stdout
    # The same plan through the API gives the same: tests/stack/test_full_stack.py.
    assert started.result()["state"] == "shipped"
    wanted = predicted(FaultPlan(Scenario.WORKSHOP, 372), "same-everywhere", review=False)
    assert triples(terminal.answer("order", "attempts", "same-everywhere")) == wanted


def triples(answer: Any) -> list[tuple[str, int, str]]:
    return [(each["step"], each["attempt"], each["outcome"]) for each in answer["attempts"]]


def test_every_answer_is_json(
    here: Terminal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(*arguments: str) -> Any:
        status = orderkit(monkeypatch, *arguments, "--json")
        said = capsys.readouterr()
        assert status == 0, said.err
        return json.loads(said.out)

    assert ask("version").keys() == {"version"}
    for each in ("approved", "rejected", "cancelled"):
        assert ask("order", "start", each, "--review", "human", "--deadline", "60")["created"] is True
    assert ask("order", "start", "approved", "--review", "human", "--deadline", "60")["created"] is False
    moved = ask("order", "address", "approved", "2 Side Street, Springfield, IL, 62702", "--by", "ada")
    assert moved["message"] == "the address is changed"
    assert ask("order", "approve", "approved", "--by", "grace", "--note", "fine")["order_id"] == "approved"
    assert ask("order", "reject", "rejected", "--by", "grace")["order_id"] == "rejected"
    assert ask("order", "cancel", "cancelled", "--by", "ada", "--reason", "changed my mind")["message"]
    again = ("order", "start", "approved", "--review", "human", "--deadline", "60", "--wait")
    assert ask(*again)["state"] == "shipped"
    assert ask("order", "status", "approved")["outcome"] == "shipped"
    assert ask("order", "events", "approved")["events"]
    assert ask("order", "attempts", "approved")["attempts"]
    assert {order["order_id"] for order in ask("order", "list", "--prefix", "approved")["orders"]} == {"approved"}
    assert ask("reconcile") == {"settled": {}}
    assert ask("db", "migrate") == {"applied": []}
    assert ask("audit", "approved", "rejected", "cancelled") == {"orders": 3, "findings": [], "without_history": 0}
    assert ask("audit", "approved", "--since", "1h") == {"orders": 1, "findings": [], "without_history": 0}
    assert ask("audit", "--since", "0s") == {"orders": 0, "findings": [], "without_history": 0}
    assert {row["name"]: row["state"] for row in ask("status")} == dict.fromkeys(
        ("supervisord", "postgres", "temporal", "worker-0", "api"), "running"
    )
    assert all(check["ok"] for check in ask("doctor"))
    assert ask("up")["api"].endswith("/docs")


def test_check_in_uses_the_lab_that_runs_and_leaves_it(terminal: Terminal) -> None:
    seated = Terminal(terminal.folder, {**terminal.environment, "BROWSER": sys.executable})
    before = [(row["name"], row["pid"]) for row in seated.answer("status")]
    found = seated.answer("check-in")
    assert [check for check in found["checks"] if not check["ok"]] == []
    assert found["code"].startswith("OK-")
    orders = [order["order_id"] for order in seated.answer("order", "list", "--prefix", "check-in")["orders"]]
    assert [check["detail"] for check in found["checks"] if check["name"] == "order"] == [f"{orders[0]}: shipped"]
    assert [(row["name"], row["pid"]) for row in seated.answer("status")] == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("up",), "temporal_ui"),
        (("status",), "supervisord"),
        (("doctor",), "PostgreSQL program"),
        (("order", "list"), "why stopped"),
        (("audit",), "0 findings"),
    ],
)
def test_people_get_tables(
    here: Terminal,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    told: str,
) -> None:
    assert orderkit(monkeypatch, *arguments) == 0
    assert told in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("order", "status", "nobody"), "OrderNotFound: nobody knows an order nobody"),
        (("audit", "--since", "soon"), "InvalidOrder: since: write 'soon' as a number and one of s, m, h, d"),
        (("audit", "nobody"), "OrderNotFound: the database knows 0 of these 1 orders"),
        (("order", "cancel", "nobody", "--by", ""), "InvalidOrder: cancelled_by: "),
        (("order", "approve", "nobody", "--by", "me", "--note", "\x01"), "InvalidOrder: note: must be printable text"),
        (("order", "address", "nobody", "somewhere", "--by", "me"), "street, city, state, zip"),
        (("order", "list", "--state", "lost"), "use one of: received"),
        (("up", "--workers", "99"), "0 to 8 workers"),
    ],
)
def test_mistakes_are_one_line_that_says_what_is_wrong(
    here: Terminal,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    told: str,
) -> None:
    assert orderkit(monkeypatch, *arguments) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ") and said.err.count("\n") == 1
    assert told in said.err


def test_learners_own_temporal_settings_do_not_lead_away_from_the_lab(
    here: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("TEMPORAL_API_KEY", "of the cloud")
    assert orderkit(monkeypatch, "audit") == 0


def test_wrong_password_is_an_error_that_says_what_to_do(
    here: Terminal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = here.answer("up")["postgres"].rpartition(":")[2]
    monkeypatch.setenv("ORDERKIT_DATABASE_URL", f"postgresql://orderkit:wrong@127.0.0.1:{port}/orderkit")
    assert orderkit(monkeypatch, "db", "migrate") == 1
    said = capsys.readouterr().err
    assert said.startswith("error: InvalidPasswordError: PostgreSQL refused") and "orderkit doctor" in said
    assert "Traceback" not in said


NEEDS_STACK = [
    ("order", "start", "x"),
    ("order", "status", "x"),
    ("order", "list"),
    ("order", "cancel", "x", "--by", "me"),
    ("audit",),
    ("reconcile",),
    ("db", "migrate"),
    ("db", "reset", "--yes"),
    ("kill", "worker"),
]


@pytest.mark.parametrize("arguments", NEEDS_STACK, ids=" ".join)
def test_lab_that_is_down_is_said_so_and_nobody_elses_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    Stack(tmp_path, choose(None, {})[0], make_secrets(tmp_path)).save()
    set_environment(monkeypatch, {"ORDERKIT_HOME": str(tmp_path)})
    assert orderkit(monkeypatch, *arguments) == 1
    assert f"the lab in {tmp_path} is not running; start it: orderkit up" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", NEEDS_STACK[:-1], ids=" ".join)
def test_servers_that_are_away_are_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    url = "postgresql://orderkit@127.0.0.1:1/orderkit"
    away = {"ORDERKIT_DATABASE_URL": url, "ORDERKIT_API_PORT": "1", "TEMPORAL_ADDRESS": "127.0.0.1:1"}
    set_environment(monkeypatch, {"ORDERKIT_HOME": str(tmp_path), **away})
    assert orderkit(monkeypatch, *arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: DependencyUnavailable: ") and "orderkit up" in said and said.count("\n") == 1


def test_status_and_down_of_no_lab_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_environment(monkeypatch, {"ORDERKIT_HOME": str(tmp_path / "none")})
    assert orderkit(monkeypatch, "status") == 1
    assert "orderkit up" in capsys.readouterr().err
    assert orderkit(monkeypatch, "down") == 0
    assert "nothing was running" in capsys.readouterr().out
    assert orderkit(monkeypatch, "doctor") == 1
    assert "orderkit up" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("program", ["worker", "api"])
def test_killed_program_is_named_with_its_pid_and_comes_back(
    here: Terminal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], program: str
) -> None:
    name = "worker-0" if program == "worker" else program
    pids = {row["name"]: row["pid"] for row in here.answer("status")}
    assert orderkit(monkeypatch, "kill", program) == 0
    told = f"killed {name} (pid {pids[name]}) with SIGKILL; the lab's supervisor starts it again"
    assert capsys.readouterr().out == told + "\n"
    if program == "api":
        assert orderkit(monkeypatch, "order", "list") == 1
        said = capsys.readouterr().err
        assert "starts it again: try once more" in said and "orderkit up" not in said
    after = {row["name"]: row["pid"] for row in here.answer("up") and here.answer("status")}
    assert after[name] not in (None, pids[name])


def test_reset_empties_the_database_and_the_stack_goes_on(
    here: Terminal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(*arguments: str) -> Any:
        assert orderkit(monkeypatch, *arguments, "--json") == 0
        return json.loads(capsys.readouterr().out)

    assert ask("order", "list")["orders"]
    assert ask("db", "reset", "--yes") == {"reset": True}
    assert ask("order", "list")["orders"] == []
    assert ask("order", "start", "after-reset", "--review", "none", "--wait")["state"] == "shipped"
    assert ask("audit") == {"orders": 1, "findings": [], "without_history": 0}
