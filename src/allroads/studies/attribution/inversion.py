"""Intervals by inverting a bootstrap test: which values of a share make the table that was found no surprise.

The usual bootstrap takes the cell means found for the truth. Their noise then counts as effects, and ω² of the
resamples lies too high by the very bias that ω² was made to avoid. Here the truth of the resamples is chosen instead:
effects of the terms in question are scaled until the estimate lies at the end of the resamples' distribution, and
effects of the other terms are shrunk to their unbiased size.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import brentq

from allroads.studies.attribution.anova import Anova
from allroads.studies.attribution.design import Design
from allroads.studies.attribution.resampling import Noise

DOUBLINGS = 60
"""Steps in which the end of an interval is enclosed."""


def weights_of(group: np.ndarray, ss: np.ndarray, shrunk: np.ndarray) -> np.ndarray:
    """How the effects of a group are shared out among its terms: as their unbiased sizes, or as found if none is left.

    Example:
        >>> group = np.array([True, True, False])
        >>> weights_of(group, np.array([4.0, 2.0, 1.0]), np.array([3.0, 0.0, 0.0])).tolist()
        [1.0, 0.0, 0.0]
    """
    for sizes in (shrunk, np.abs(ss), np.ones(len(ss))):
        held = np.where(group, sizes, 0.0)
        if held.sum() > 0:
            break
    weights: np.ndarray = held / held.sum()
    return weights


@dataclass(frozen=True)
class Quantity(ABC):
    """A share of some terms: its estimate, its value in a population, and populations in which it has each value.

    Args:
        design: The terms.
        group: The terms that it is a share of.
    """

    design: Design
    group: np.ndarray
    largest: ClassVar[float] = math.inf
    """The largest size of :meth:`effects`."""
    smallest: ClassVar[float] = 0.0
    """The smallest size; below 0 for a quantity that goes on falling where the group has no effect."""

    @abstractmethod
    def statistic(self, ss: np.ndarray, within: np.ndarray | float) -> np.ndarray:
        """The estimate from sums of squares."""

    @abstractmethod
    def truth(self, variances: np.ndarray, noise: float) -> float:
        """The value from variances."""

    def contrast(self, ss: np.ndarray, within: np.ndarray | float, truth: float) -> np.ndarray:
        """What is compared between the table and tables of a population, and grows with the estimate: itself."""
        return self.statistic(ss, within)

    def effects(self, size: float, found: Anova, shrunk: np.ndarray) -> np.ndarray:
        """Sums of squares of the true effects in a population, in which the share grows with the size from 0 on.

        Here those of the group sum to size², and the other terms keep their unbiased sizes.
        """
        effects: np.ndarray = np.where(self.group, size**2 * weights_of(self.group, found.ss, shrunk), shrunk)
        return effects


@dataclass(frozen=True)
class World:
    """A table and the noise of its resamples."""

    found: Anova
    noise: Noise

    @cached_property
    def shrunk(self) -> np.ndarray:
        """Unbiased sums of squares of the terms' effects, 0 where that would be negative."""
        return np.maximum(self.found.ss - self.found.design.df * self.found.noise, 0.0)

    def squares(self, effects: np.ndarray) -> np.ndarray:
        """Sums of squares ``[resamples, terms]`` where the true effects have these, ``[terms]``."""
        found: np.ndarray = effects + 2 * np.sqrt(effects) * self.noise.cross + self.noise.own
        return found


def interval(quantity: Quantity, world: World, level: float = 0.95) -> tuple[float, float]:
    """The interval of a share with equal tails.

    Args:
        quantity: The share.
        world: The table and its resamples.
        level: Confidence.

    Returns:
        Its ends. Both are the value at no effect where even that value would be surprisingly large beside the estimate.

    When it fails: five to ten seeds per cell in very few cells estimate the noise poorly; then the interval is a little
    too narrow. Noise whose variance is infinite has no such interval.

    References:
        [carpenter1999]
    """
    found = world.found

    def population(size: float) -> tuple[np.ndarray, float]:
        """Sums of squares of the true effects, and the share in it."""
        effects = quantity.effects(size, found, world.shrunk)
        return effects, quantity.truth(effects / found.design.runs, found.noise)

    def surplus(size: float, tail: float) -> float:
        """By how much a quantile of the population's tables exceeds the table."""
        effects, truth = population(size)
        drawn = quantity.contrast(world.squares(effects), world.noise.within, truth)
        return float(np.quantile(drawn, tail) - quantity.contrast(found.ss, found.within, truth))

    tail = (1 - level) / 2
    start = min(float(np.sqrt(max(abs(found.ss[quantity.group].sum()), found.noise, 1e-300))), quantity.largest)
    ends = (
        _crossing(partial(surplus, tail=1 - tail), start, quantity.smallest, quantity.largest),
        _crossing(partial(surplus, tail=tail), start, 0.0, quantity.largest),
    )
    low, high = (population(size)[1] for size in ends)
    return low, high


def _crossing(surplus: Callable[[float], float], start: float, smallest: float, largest: float) -> float:
    """Where a continuous function rises through 0; else the smallest size or the largest, as it is above or below."""
    if surplus(0.0) > 0:
        if smallest == 0:
            return 0.0
        return -_crossing(lambda size: -surplus(-size), start, 0.0, -smallest)
    low, high = 0.0, start
    for _ in range(DOUBLINGS):
        if surplus(high) > 0:
            solve: Any = brentq
            return float(solve(surplus, low, high, xtol=1e-12 * high, rtol=1e-9))
        if high >= largest:
            break
        low, high = high, min(2 * high, largest)
    return high
