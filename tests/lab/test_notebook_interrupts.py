"""A cell that awaits can be interrupted, and one that forgot to await says so, in a real kernel."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

SECONDS = 30
START = "from orderkit.lab.interrupts import make_interruptible\nimport asyncio\nmake_interruptible()\n"


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[KernelManager, BlockingKernelClient]]:
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(SECONDS)
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def run(client: BlockingKernelClient, code: str) -> dict[str, dict[str, Any]]:
    """A cell's outputs, the last of each kind.

    Reads the reply, too: without that, ipykernel 7 drops one cell in some 400.
    """
    outputs: dict[str, dict[str, Any]] = {}
    client.execute_interactive(
        code, output_hook=lambda told: outputs.update({told["msg_type"]: told["content"]}), timeout=SECONDS
    )
    return outputs


def shown_by(client: BlockingKernelClient, message: str, kind: str) -> dict[str, Any]:
    """The first output of that kind from a cell that still runs."""
    while True:
        told = client.get_iopub_msg(timeout=SECONDS)
        if told["parent_header"].get("msg_id") == message and told["msg_type"] == kind:
            content: dict[str, Any] = told["content"]
            return content


def test_an_interrupt_ends_a_silent_wait_with_a_sentence_and_the_next_cell_works(
    kernel: tuple[KernelManager, BlockingKernelClient],
) -> None:
    manager, client = kernel
    cell = client.execute(f"{START}print('waiting')\nawait asyncio.sleep(600)")
    shown_by(client, cell, "stream")
    manager.interrupt_kernel()
    error = shown_by(client, cell, "error")
    assert error["ename"] == "Interrupted"
    assert len(error["traceback"]) == 1
    assert shown_by(client, cell, "status")["execution_state"] == "idle"  # earlier than that, the kernel drops cells
    client.get_shell_msg(timeout=SECONDS)
    assert run(client, "print('on')")["stream"]["text"] == "on\n"


def test_what_the_cell_itself_cancelled_is_shown_as_ever(kernel: tuple[KernelManager, BlockingKernelClient]) -> None:
    _, client = kernel
    error = run(client, f"{START}task = asyncio.create_task(asyncio.sleep(600))\ntask.cancel()\nawait task")["error"]
    assert error["ename"] == "CancelledError"
    assert len(error["traceback"]) > 1


def test_a_forgotten_await_is_told_in_a_sentence_wherever_it_stands(
    kernel: tuple[KernelManager, BlockingKernelClient],
) -> None:
    _, client = kernel
    start = "from orderkit.lab import Lab\nfrom orderkit.stack.controls import ServerControl\n"
    start += "postgres = ServerControl('postgres', None)\n"
    shown = run(client, f"{start}postgres.kill()")["execute_result"]
    told = "kill(…) has done nothing yet: put await before the call"
    assert (shown["data"]["text/plain"], shown["data"]["text/html"]) == (told, f"<p>{told}</p>")
    for _ in range(2):  # a cell that is run again says it again
        assert run(client, "postgres.kill()\nNone")["stream"]["text"] == f"{told}\n"
    shown = run(client, "lab = Lab.start()\nlab")["execute_result"]
    assert shown["data"]["text/plain"].startswith("start(…) has done nothing yet")
    assert (
        "UserWarning: something else"
        in run(client, "import warnings\nwarnings.warn('something else')")["stream"]["text"]
    )
