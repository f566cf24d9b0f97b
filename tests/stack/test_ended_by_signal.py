"""A command that is ended by a signal, twice even, leaves no server and no worker behind."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.terminal import Terminal, processes_below, until

from orderkit.stack.lifecycle import down

# Under nohup, a hang-up ends nothing.
HANG_UP = signal.SIGTERM if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else signal.SIGHUP
COMMANDS = {
    "chaos": (("chaos", "--orders", "2", "--by-hand", "0"), signal.SIGTERM, "postgres"),
    "bench store": (("bench", "store"), signal.SIGTERM, "postgres"),
    "bench start": (("bench", "start"), HANG_UP, "temporal"),
    "demo": (("demo", "--fresh", "--faults", "charge=hang,hang,hang"), HANG_UP, "orderkit worker"),
}


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path, {"TMPDIR": str(tmp_path)})
    yield terminal
    for home in (tmp_path / ".orderkit", *tmp_path.glob("orderkit-*/.orderkit")):
        down(home)


def is_there(folder: Path, program: str) -> bool:
    return any(program in each for each in processes_below(folder))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_lab_of_its_own_goes_with_its_command(terminal: Terminal, name: str) -> None:
    command, number, program = COMMANDS[name]
    log = terminal.folder / "log"
    process = terminal.start(*command, log=log)
    until(lambda: is_there(terminal.folder, program) or process.poll() is not None, f"{program} runs", 60)
    process.send_signal(number)
    until(lambda: not is_there(terminal.folder, program) or process.poll() is not None, f"{program} is ending")
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)  # somebody is impatient
    assert process.wait(60) == 130, log.read_text()
    assert processes_below(terminal.folder) == []


@pytest.mark.parametrize("command", [("demo", "--fresh"), ("demo",)], ids=" ".join)
def test_a_signal_does_not_interrupt_the_stop_of_a_lab(terminal: Terminal, command: tuple[str, ...]) -> None:
    log = terminal.folder / "log"
    process = terminal.start(*command, log=log)
    until(lambda: is_there(terminal.folder, "orderkit worker") or process.poll() is not None, "a worker runs", 60)
    until(lambda: not is_there(terminal.folder, "orderkit worker") or process.poll() is not None, "it is ending")
    assert process.poll() is None, log.read_text()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0, log.read_text()
    assert processes_below(terminal.folder) == []


def test_a_benchmarks_worker_goes_with_it_and_the_lab_stays(terminal: Terminal) -> None:
    assert terminal.run("up").returncode == 0
    log = terminal.folder / "log"
    process = terminal.start("bench", "orders", "--orders", "50", log=log)
    until(lambda: is_there(terminal.folder, "benchmarks.bare") or process.poll() is not None, "it measures", 60)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 130, log.read_text()
    assert not is_there(terminal.folder, "benchmarks.bare")
    assert terminal.run("status").returncode == 0
