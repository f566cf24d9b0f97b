"""What a policy can be expected to do to orders under a fault plan: computed, not guessed.

Modelled: every attempt's fate with its cost (an error costs a retry's overhead; a hang the step's time limit;
`slow` its milliseconds, or the time limit if that is shorter; a crash the time limit or the worker's restart), the
waits and the number of attempts of the policy, the review timer, repeated shipping runs, the end of the forward path
at deadline less reserve, the stop that comes too late because the carrier has the package, the last step, and the
compensations that the order needs by then, tried until done. Time to the outcome ends when the order's row has it.

Not modelled: people and their messages (a human review, a cancel, an address change), kills, outages, and queues: every
attempt is taken at once, at the same overhead. Under load it costs more: measure it, then predict again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, sqrt

import numpy as np
import pandas as pd

from orderkit.analysis.assumptions import Assumptions
from orderkit.analysis.convolution import Convolution
from orderkit.analysis.grid import Grid, Mass
from orderkit.analysis.simulation import DEFAULT, simulate_orders
from orderkit.core.faults import FaultPlan
from orderkit.core.orders import OrderState
from orderkit.core.policies import Policy

GRID_SECONDS = 0.01
TAIL_SECONDS = 20.0  # of compensation after the deadline that the grid covers
MAX_GRID = 4_000  # a longer deadline gets a coarser grid
QUANTILES = (0.1, 0.5, 0.9, 0.99, 0.999)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What to expect of one order.

    `mean_seconds` is of the time to the outcome, whatever it is; `mean_shipped_seconds` of the orders that ship.
    `quantiles`: probability of being decided to seconds (inf: not reached). `outcomes`: the probability of each end,
    in time or late. `standard_error`: of the two probabilities, the larger one; 0 when nothing was drawn.
    `curve`: seconds float64, probability float64 (decided by then), shipped float64 (shipped by then).
    """

    shipped_within_deadline: float
    decided_within_deadline: float
    mean_seconds: float
    mean_shipped_seconds: float
    quantiles: Mapping[float, float]
    outcomes: Mapping[str, float]
    standard_error: float
    method: str
    curve: pd.DataFrame = field(repr=False)


def predict(faults: FaultPlan, policy: Policy, assumptions: Assumptions = DEFAULT) -> Prediction:
    """Compute the distribution exactly but for the grid of time: orders with random seeds."""
    horizon = assumptions.deadline_seconds + TAIL_SECONDS
    step = max(GRID_SECONDS, horizon / MAX_GRID)
    grid = Grid(step, round(horizon / step) + 1)
    ends = Convolution(faults, policy, assumptions, grid).run()
    shipped = ends[OrderState.SHIPPED]
    decided = sum(ends.values(), grid.nothing())
    seconds = np.arange(grid.size, dtype=np.float64) * step
    curve = pd.DataFrame({"seconds": seconds, "probability": decided.cumsum(), "shipped": shipped.cumsum()})
    in_time = grid.index(assumptions.deadline_seconds)
    return Prediction(
        shipped_within_deadline=float(curve["shipped"][in_time]),
        decided_within_deadline=float(curve["probability"][in_time]),
        mean_seconds=_mean(seconds, decided),
        mean_shipped_seconds=_mean(seconds, shipped),
        quantiles={q: _quantile(curve, q) for q in QUANTILES},
        outcomes={state.value: float(mass.sum()) for state, mass in ends.items() if mass.sum() > 0},
        standard_error=0.0,
        method=f"convolution on a grid of {step:g} s",
        curve=curve,
    )


def predict_by_simulation(
    faults: FaultPlan, policy: Policy, assumptions: Assumptions = DEFAULT, orders: int = 2_000
) -> Prediction:
    """Draw that many orders with the plan's seed, as the workers would: the same arguments, the same answer."""
    drawn = simulate_orders((f"simulated-{number}" for number in range(orders)), faults, policy, assumptions)
    never = drawn["state"] == ""
    seconds = drawn["duration_seconds"].where(~never, inf).sort_values()
    shipped = drawn["state"] == OrderState.SHIPPED.value
    in_time = drawn["duration_seconds"] <= assumptions.deadline_seconds + 1e-9
    curve = pd.DataFrame(
        {
            "seconds": seconds.to_numpy(),
            "probability": np.arange(1, orders + 1) / orders,
            "shipped": shipped[seconds.index].cumsum().to_numpy() / orders,
        }
    )
    decided_in_time, shipped_in_time = int(in_time.sum()), int((in_time & shipped).sum())
    return Prediction(
        shipped_within_deadline=shipped_in_time / orders,
        decided_within_deadline=decided_in_time / orders,
        mean_seconds=float(drawn["duration_seconds"][~never].mean()),
        mean_shipped_seconds=float(drawn["duration_seconds"][shipped].mean()),
        quantiles={q: _quantile(curve, q) for q in QUANTILES},
        outcomes={str(state): count / orders for state, count in drawn["state"][~never].value_counts().items()},
        standard_error=max(standard_error(shipped_in_time, orders), standard_error(decided_in_time, orders)),
        method=f"simulation of {orders} orders",
        curve=curve[np.isfinite(curve["seconds"])].reset_index(drop=True),
    )


def standard_error(hits: int, orders: int) -> float:
    """Of the share hits / orders; never 0, since all of a sample is not all there is (Agresti and Coull's +2, +4)."""
    share = (hits + 2) / (orders + 4)
    return sqrt(share * (1 - share) / (orders + 4))


def _mean(seconds: Mass, mass: Mass) -> float:
    total = float(mass.sum())
    return float(seconds @ mass) / total if total > 0 else inf


def _quantile(curve: pd.DataFrame, probability: float) -> float:
    reached = curve["seconds"][curve["probability"] >= probability - 1e-12]
    return float(reached.iloc[0]) if len(reached) else inf
