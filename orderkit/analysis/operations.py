"""What an operator reads, as DataFrames: failures by step and kind over time, JSON logs, and Prometheus metrics.

The dictionaries say which columns a frame has, and their dtypes, as in frames.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from prometheus_client.parser import text_string_to_metric_families

from orderkit.analysis.frames import TIME, Row, typed_frame

#: one line a step, outcome and kind of error in each piece of time; `last_error` is the newest of them
FAILURES = {
    "ts": TIME,
    "step": "str",
    "outcome": "str",
    "kind": "str",
    "attempts": "int64",
    "orders": "int64",
    "last_error": "str",
}
#: one line a line of a program's log; what is not JSON has only its message
LOGS = {
    "ts": TIME,
    "program": "str",
    "level": "str",
    "logger": "str",
    "message": "str",
    "order_id": "str",
    "workflow_id": "str",
    "trace": "str",
}
#: one line a sample; `labels` as Prometheus writes them
METRICS = {"program": "str", "metric": "str", "labels": "str", "value": "float64"}
_NAMES = {"levelname": "level", "name": "logger", "exc_info": "trace"}
_NOISE = frozenset({"service_name", "namespace", "activity_type", "workflow_type"})


def failures_frame(rows: Iterable[Row]) -> pd.DataFrame:
    """Rows of the query `failures`, as FAILURES."""
    return typed_frame(rows, FAILURES)


def by_step_and_kind(failures: pd.DataFrame) -> pd.DataFrame:
    """Over all the time: step, kind, attempts, last_error; the most frequent first."""
    ordered = failures.sort_values("ts", kind="stable")
    grouped = ordered.groupby(["step", "kind"], as_index=False).agg({"attempts": "sum", "last_error": "last"})
    return grouped.sort_values(["attempts", "step", "kind"], ascending=[False, True, True]).reset_index(drop=True)


def read_logs(files: Mapping[str, Path]) -> pd.DataFrame:
    """The logs of these programs as LOGS, oldest first; a file that is not there has no lines."""
    rows: list[dict[str, Any]] = []
    for program, path in files.items():
        for file in (path.with_name(path.name + ".2"), path.with_name(path.name + ".1"), path):  # as they are rotated
            if file.exists():
                rows += [_log_line(program, line) for line in file.read_text(errors="replace").splitlines()]
    frame = typed_frame(rows, LOGS)
    return frame.sort_values("ts", kind="stable", na_position="first").reset_index(drop=True)


def _log_line(program: str, line: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        return {**dict.fromkeys(LOGS), "program": program, "message": line}
    row = {_NAMES.get(name, name): value for name, value in said.items()}
    ts = str(said.get("asctime", "")).replace(",", ".") or None
    # Processes write their logs in the machine's own time.
    when = datetime.fromisoformat(ts).astimezone(UTC) if ts else None
    return {name: row.get(name) for name in LOGS} | {"program": program, "ts": when}


def metrics_frame(scraped: Mapping[str, str], begins: str = "") -> pd.DataFrame:
    """What programs answered to GET /metrics, as METRICS; only metrics whose names begin so, and no buckets."""
    rows = [
        {"program": program, "metric": sample.name, "labels": _labels(sample.labels), "value": sample.value}
        for program, text in scraped.items()
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith(begins) and not sample.name.endswith(("_bucket", "_created"))
    ]
    return typed_frame(rows, METRICS)


def _labels(labels: Mapping[str, str]) -> str:
    """Without those that say the same in every sample."""
    return ", ".join(f"{name}={value}" for name, value in sorted(labels.items()) if name not in _NOISE)
