"""Probability mass on a grid of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Mass: TypeAlias = NDArray[np.float64]  # element i: the probability of the moment i x grid.seconds

FEW = 64  # below so many moments, adding is quicker than numpy's convolution


@dataclass(frozen=True)
class Grid:
    """`size` moments, `seconds` apart. What lies beyond the last one is dropped: a mass's sum tells how much."""

    seconds: float
    size: int

    def nothing(self) -> Mass:
        """No mass."""
        return np.zeros(self.size)

    def at(self, index: int, probability: float = 1.0) -> Mass:
        """All mass at one moment."""
        mass = self.nothing()
        mass[index] = probability
        return mass

    def index(self, seconds: float) -> int:
        """The last moment that is not after `seconds`."""
        return min(int(seconds / self.seconds + 1e-6), self.size - 1)

    def later(self, mass: Mass, seconds: float) -> Mass:
        """The same, later. Between two moments of the grid the mass is shared, which keeps the mean exact."""
        steps = seconds / self.seconds
        whole = int(steps + 1e-6)
        share = max(0.0, steps - whole)
        if share < 1e-6:
            return self._shifted(mass, whole)
        return (1 - share) * self._shifted(mass, whole) + share * self._shifted(mass, whole + 1)

    def _shifted(self, mass: Mass, steps: int) -> Mass:
        shifted = self.nothing()
        if steps < self.size:
            shifted[steps:] = mass[: self.size - steps]
        return shifted

    def then(self, first: Mass, second: Mass) -> Mass:
        """The sum of two independent times."""
        moments = np.flatnonzero(second)
        if len(moments) > FEW:
            return np.convolve(first, second)[: self.size]
        total = self.nothing()
        for moment in moments:
            total += second[moment] * self._shifted(first, int(moment))
        return total

    def until(self, mass: Mass, limit: int) -> Mass:
        """What happens up to a moment."""
        cut = mass.copy()
        cut[limit + 1 :] = 0
        return cut

    def stretched(self, mass: Mass, times: int) -> Mass:
        """The same time `times` over: not independent repeats."""
        stretched = self.nothing()
        part = mass[: (self.size - 1) // times + 1]
        stretched[: len(part) * times : times] = part
        return stretched
