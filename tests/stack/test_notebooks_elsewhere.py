"""The notebook that kills everything, on servers that the lab did not start. All of them: `make elsewhere`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.notebooks_elsewhere import KILLS, copy_notebooks, run_notebooks
from support.servers_elsewhere import servers_elsewhere


@pytest.mark.timeout(300)
def test_they_say_what_is_stored_and_kill_nobody_elses_server(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    copies = [each for each in copy_notebooks(tmp_path, ("06",)) if each.parent == tmp_path]
    assert [each.name[:2] for each in copies] == ["06"]
    with servers_elsewhere(tmp_path / "theirs") as servers:
        before = servers.pids()
        assert run_notebooks(copies, tmp_path, servers.variables, "--timeout=120") == 0
        assert servers.pids() == before


def test_only_the_cells_that_kill_a_server_are_not_compared(tmp_path: Path) -> None:
    kills = {"await lab.postgres.kill", "await lab.temporal.kill", "await read_back("}
    for copy in copy_notebooks(tmp_path):
        for cell in json.loads(copy.read_text())["cells"]:
            text, tags = "".join(cell["source"]), cell["metadata"].get("tags", [])
            would = cell["cell_type"] == "code" and any(kill in text for kill in kills)
            assert (KILLS in tags) is would
            assert not would or "nbval-ignore-output" in tags
