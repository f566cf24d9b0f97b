"""The worker's sandbox is Temporal's; only nobody asks it for the context of a payload, which nothing of ours needs."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.converter import WithSerializationContext
from temporalio.worker.workflow_sandbox import RestrictedWorkflowAccessError

from orderkit.temporal.client import data_converter
from orderkit.worker.sandbox import ContextFreeRunner

_RESTRICTED = """\
import datetime
from temporalio import workflow

began = datetime.datetime.now()

@workflow.defn
class Restricted:
    @workflow.run
    async def run(self) -> None: ...
"""


def test_it_restricts_what_temporals_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "restricted_flow.py").write_text(_RESTRICTED)
    monkeypatch.syspath_prepend(tmp_path)
    flow = importlib.import_module("restricted_flow")
    with pytest.raises(RestrictedWorkflowAccessError, match="now"):
        ContextFreeRunner().prepare_workflow(workflow._Definition.must_from_class(flow.Restricted))


@pytest.mark.parametrize("keys", [(), (b"k" * 32,)], ids=["plain", "encrypted"])
def test_nothing_of_ours_encodes_by_context(keys: tuple[bytes, ...]) -> None:
    converter = data_converter(keys)
    codec: object = converter.payload_codec
    assert not isinstance(codec, WithSerializationContext)
    assert converter.external_storage is None
