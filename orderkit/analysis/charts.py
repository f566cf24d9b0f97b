"""All charts: from a DataFrame to a Figure of 1280 x 720 pixels. Which columns each uses, its docstring says."""

from orderkit.analysis.charts_attempts import attempts_by_step, retry_waits, step_durations
from orderkit.analysis.charts_failures import failures_over_time
from orderkit.analysis.charts_orders import load, predicted_vs_measured, time_to_outcome
from orderkit.analysis.charts_timeline import order_timeline

__all__ = [
    "attempts_by_step",
    "failures_over_time",
    "load",
    "order_timeline",
    "predicted_vs_measured",
    "retry_waits",
    "step_durations",
    "time_to_outcome",
]
