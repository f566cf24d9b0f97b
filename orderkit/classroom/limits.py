"""Bounds on how often somebody may call."""

from __future__ import annotations

from dataclasses import dataclass

_MOST_CALLERS = 10_000


@dataclass
class _Bucket:
    left: float
    filled: float


class Limit:
    """`burst` calls at once for each caller, and `per_second` more in each second after that."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._buckets: dict[str, _Bucket] = {}

    def has_left(self, caller: str, now: float) -> bool:
        """Whether this caller may call now."""
        return self._bucket(caller, now).left >= 1

    def take(self, caller: str, now: float) -> bool:
        """Count a call; False if it is one too many."""
        bucket = self._bucket(caller, now)
        if bucket.left < 1:
            return False
        bucket.left -= 1
        return True

    def _bucket(self, caller: str, now: float) -> _Bucket:
        if caller not in self._buckets and len(self._buckets) >= _MOST_CALLERS:
            self._buckets.clear()
        bucket = self._buckets.setdefault(caller, _Bucket(self._burst, now))
        bucket.left = min(self._burst, bucket.left + (now - bucket.filled) * self._per_second)
        bucket.filled = now
        return bucket
