"""Every answer of the running API is one that its OpenAPI document promises, whatever is asked; schemathesis asks.

A short run. The long one takes minutes: three seeds, and well over a thousand cases with each.

    ORDERKIT_SCHEMA_SEEDS=1,2,3 pytest tests/api/test_api_schema.py -s
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

LONG = os.environ.get("ORDERKIT_SCHEMA_SEEDS", "")
PHASES, EXAMPLES = ("examples,coverage,fuzzing,stateful", "40") if LONG else ("examples,fuzzing", "4")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", (LONG or "1").split(","))
async def test_no_answer_is_undocumented_or_a_crash(served: str, tmp_path: Path, seed: str) -> None:
    schemathesis = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).parent / "st"), "run", f"{served}/openapi.json", "--no-color"),
        *("--checks", "all", "--phases", PHASES, "--max-examples", EXAMPLES, "--seed", seed, "--continue-on-failure"),
        *("--request-timeout", "20", "--suppress-health-check", "all"),
        cwd=tmp_path,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        told, _ = await schemathesis.communicate()
    finally:
        if schemathesis.returncode is None:
            schemathesis.kill()
            await schemathesis.wait()
    print(told.decode())
    assert schemathesis.returncode == 0, told.decode()
