"""Predictions beside measurements."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt

import pandas as pd

from orderkit.analysis.prediction import Prediction

# One line a policy and measure; shares from 0 to 1, `*_low` and `*_high` bound the 95 % interval.
COMPARISON = {
    "policy": "str",
    "measure": "str",
    "predicted": "float64",
    "predicted_low": "float64",
    "predicted_high": "float64",
    "measured": "float64",
    "measured_low": "float64",
    "measured_high": "float64",
    "orders": "int64",
}
Z = 1.96


def compare(predictions: Mapping[str, Prediction], summaries: pd.DataFrame) -> pd.DataFrame:
    """Predictions by policy beside what became of the orders of frames.SUMMARIES, as COMPARISON.

    An order that is still open counts as neither shipped nor decided in time: wait for all of them first.
    """
    rows = []
    for policy, prediction in predictions.items():
        orders = summaries[summaries["policy"] == policy]
        if orders.empty:
            continue
        decided = orders["within_deadline"].fillna(False).astype(bool)
        shipped = decided & (orders["state"] == "shipped")
        for measure, predicted, hits in (
            ("shipped in time", prediction.shipped_within_deadline, int(shipped.sum())),
            ("decided in time", prediction.decided_within_deadline, int(decided.sum())),
        ):
            margin = Z * prediction.standard_error
            expected = (predicted, max(0.0, predicted - margin), min(1.0, predicted + margin))
            found = (hits / len(orders), *interval(hits, len(orders)), len(orders))
            rows.append((policy, measure, *expected, *found))
    return pd.DataFrame(rows, columns=list(COMPARISON)).astype(COMPARISON)


def interval(hits: int, orders: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share; sound at 0 and at 1 too."""
    share, z2 = hits / orders, Z**2
    centre = (share + z2 / (2 * orders)) / (1 + z2 / orders)
    margin = Z * sqrt(share * (1 - share) / orders + z2 / (4 * orders**2)) / (1 + z2 / orders)
    return max(0.0, centre - margin) if hits else 0.0, min(1.0, centre + margin) if hits < orders else 1.0
