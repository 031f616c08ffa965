"""A hop: a part of the way to a target on which the linearised map holds, and what it finds there."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from allroads.paths.learnability.hitting_time import hitting_time, remaining, slopes
from allroads.paths.learnability.spectrum import ResidualSpectrum


class Hop(NamedTuple):
    """Where a hop begins, and what it finds on its way.

    Attributes:
        spectrum: Of the residual under the explorer's kernel at its begin: contractions a step.
        level: Share of the residual's square at which the loss is at its goal; 1 or more where it is already.
        curvature: h of the quadratic loss that stands for the true one.
        time: Steps that it goes, at the pace of gradient descent in the linearised map.
        speed: Length of the gradient at its end over that in the linearised map.
        left: Level at its end: what is left to the goal there.
    """

    spectrum: ResidualSpectrum
    level: float
    curvature: float
    time: float
    speed: float
    left: float

    def true_time(self, time: Any) -> Any:
        """Steps for what takes so many in the linearised map: the speed changes in proportion to them up to the end.

        From there on it stays. ``t log(1 + (q − 1) s/t) / (q − 1)``; exact to second order in t.
        """
        within = np.minimum(time, self.time)
        growth = self.speed - 1
        if self.time <= 0 or abs(growth) < 1e-9:
            return np.asarray(time, np.float64)
        return self.time * np.log1p(growth * within / self.time) / growth + (time - within) / self.speed

    def linear_time(self, true: Any) -> Any:
        """The inverse of :meth:`true_time`."""
        growth, end = self.speed - 1, self.true_time(self.time)
        if self.time <= 0 or abs(growth) < 1e-9:
            return np.asarray(true, np.float64)
        within = np.minimum(true, end)
        return self.time * np.expm1(growth * within / self.time) / growth + (true - within) * self.speed

    def slopes(self, true: Any) -> Any:
        """Length of the gradient after so many true steps, up to what is the same for all hops."""
        time = self.linear_time(true)
        speed = 1 + (self.speed - 1) * np.minimum(time / self.time, 1.0) if self.time > 0 else 1.0
        return self.steepness * speed * slopes(self.spectrum, time)

    @property
    def steepness(self) -> float:
        """Length of the gradient at its begin, ``√(rᵀ A r)`` up to what is the same for all hops."""
        return float(np.sqrt(self.spectrum.energies @ self.spectrum.nodes / self.curvature))

    def to_goal(self) -> float:
        """True steps to the goal: from the end on, where it is not reached there, at the speed there."""
        time = hitting_time(self.spectrum, self.level)
        if self.level < 1 <= self.left and self.time > 0:  # reached on the way, at which part the logarithms tell
            linear = remaining(self.spectrum, self.time)
            share = np.log(self.level) / np.log(self.level / self.left)
            time = min(self.time, hitting_time(self.spectrum, float(linear**share)))
        return float(self.true_time(time))


def linearised(hop: Hop, spectrum: ResidualSpectrum) -> Hop:
    """All of the way from where a hop begins, as a finer spectrum there has it."""
    return hop._replace(spectrum=spectrum, time=0.0, speed=1.0, left=0.0)


def way(hops: tuple[Hop, ...]) -> float:
    """Steps to the goal along all hops, at the pace of gradient descent."""
    return sum(float(hop.true_time(hop.time)) for hop in hops[:-1]) + hops[-1].to_goal()


def slopes_along(hops: tuple[Hop, ...], times: np.ndarray) -> np.ndarray:
    """Length of the gradient, as a share of the first, at some times from the start of the first hop, ``[G]``.

    Example:
        Two hops along one mode are one:

        >>> mode = ResidualSpectrum(np.array([0.5]), np.array([1.0]))
        >>> later = mode._replace(energies=np.array([1 / 16]))
        >>> hops = Hop(mode, 0.01, 2.0, 2.0, 1.0, 0.16), Hop(later, 0.16, 2.0, 9.0, 1.0, 2.0)
        >>> slopes_along(hops, np.array([0.0, 2.0, 3.0])).tolist()
        [1.0, 0.25, 0.125]
    """
    begins = np.cumsum([0.0, *(float(hop.true_time(hop.time)) for hop in hops[:-1])])
    which = np.clip(np.searchsorted(begins, times, side="right") - 1, 0, None)
    found = np.empty(len(times))
    for k in np.unique(which):
        found[which == k] = hops[k].slopes(times[which == k] - begins[k])
    return found / hops[0].steepness
