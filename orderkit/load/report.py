"""What a load was and what became of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from orderkit.audit.rules import Finding
from orderkit.core.orders import ENDS
from orderkit.store.measurements import OrderEnd

PERCENTILES = (50, 90, 99, 100)


@dataclass(frozen=True)
class LoadReport:
    """Times are those of the database: from an order's start to its end, and from the first start to the last end."""

    orders: int  # that were asked for
    started: int
    ends: Mapping[str, int]  # how many ended how
    still_open: int
    late: int  # ended after their deadline
    attempts: int
    retries: int
    refused: Mapping[str, int]  # starts that were refused, by error
    starts_repeated: int  # since the API, or what is behind it, did not answer
    seconds: float
    percentiles: Mapping[str, float]  # of the seconds to the end: p50 … p100
    findings: Sequence[Finding] = field(default_factory=list)
    audited: int = 0
    interrupted: bool = False

    @property
    def ended(self) -> int:
        """How many have ended, however."""
        return sum(self.ends.values())

    @property
    def per_second(self) -> float:
        """Orders a second, from the first start to the last end."""
        return self.ended / self.seconds if self.seconds else 0.0

    @property
    def passed(self) -> bool:
        """No disagreement, nothing left open, no start refused."""
        return not (self.findings or self.still_open or self.refused)

    def __str__(self) -> str:
        """Counts only, so that a stored output can be compared."""
        ends = ", ".join(f"{count} {state}" for state, count in self.ends.items()) or "none has ended"
        more = [f"{self.still_open} still open"] if self.still_open else []
        more += [f"{count} refused ({error})" for error, count in self.refused.items()]
        whole = f"{self.orders} orders" if self.started == self.orders else f"{self.started} of {self.orders} orders"
        return f"{whole}: {'; '.join([ends, *more])}; {_count(len(self.findings), 'finding')} in the audit"


def summarise(
    orders: int,
    found: Sequence[OrderEnd],
    started: int,
    deadline_seconds: float,
    attempts: tuple[int, int],
    refused: Counter[str],
    starts_repeated: int,
    interrupted: bool,
) -> LoadReport:
    """A report without its audit; `found` are the rows of the orders, `attempts` how many, and how many of them again.

    An order that Temporal has and the database has not yet is still open.
    """
    ended = [end for end in found if end.state in ENDS and end.seconds is not None]
    times = sorted(end.seconds for end in ended if end.seconds is not None)
    begins = [end.closed_at - timedelta(seconds=end.seconds or 0) for end in ended if end.closed_at]
    ends = [end.closed_at for end in ended if end.closed_at]
    return LoadReport(
        orders=orders,
        started=started,
        ends=dict(sorted(Counter(end.state.value for end in ended).items())),
        still_open=started - len(ended),
        late=sum(seconds > deadline_seconds for seconds in times),
        attempts=attempts[0],
        retries=attempts[1],
        refused=dict(sorted(refused.items())),
        starts_repeated=starts_repeated,
        seconds=round((max(ends) - min(begins)).total_seconds(), 3) if ends else 0.0,
        percentiles={f"p{percent}": round(percentile(times, percent), 3) for percent in PERCENTILES} if times else {},
        interrupted=interrupted,
    )


def percentile(ascending: Sequence[float], percent: float) -> float:
    """The smallest of the values such that at least this percentage of them are not greater."""
    return ascending[max(0, math.ceil(percent / 100 * len(ascending)) - 1)]


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'s' * (number != 1)}"
