"""Sums of squares of a balanced factorial analysis of variance, for responses of one or of many coordinates.

A response of many coordinates gives the analysis of distances: its sums of squares are sums over coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from allroads.studies.attribution.design import Design

ROUNDING = 1e-13
"""Share of the total sum of squares below which a part of it is rounding, and is 0."""


@dataclass(frozen=True)
class Anova:
    """An analysis of variance.

    Args:
        design: Its terms.
        values: The response, ``[cells, seeds, coordinates]``, cells in the order of the design's shape.
        signs: +1 or −1 for each coordinate: distances that no Euclidean space has need both.
        ss: Sum of squares of each term.
        within: Sum of squares within cells.
    """

    design: Design
    values: np.ndarray
    signs: np.ndarray
    ss: np.ndarray
    within: float

    @property
    def noise(self) -> float:
        """Mean square within cells: the variance between seeds."""
        return self.within / self.design.df_within

    @property
    def total(self) -> float:
        """Total sum of squares."""
        return float(self.ss.sum() + self.within)

    def table(self, means: np.ndarray) -> np.ndarray:
        """Cell means ``[batch, cells, coordinates]`` with one axis per factor."""
        return means.reshape(len(means), *self.design.shape, -1)


def anova(design: Design, values: np.ndarray, signs: np.ndarray | None = None) -> Anova:
    """Sums of squares of all terms, by the effects of the cell means. Those that are rounding alone are 0.

    Args:
        design: The terms.
        values: ``[cells, seeds, coordinates]``.
        signs: Of the coordinates; default all +1.

    References:
        [scheffe1959]

    Example:
        >>> found = anova(Design((2,), 2, 1), np.array([[[0.0], [2.0]], [[4.0], [6.0]]]))
        >>> found.ss.tolist(), found.within
        ([16.0], 4.0)
    """
    signs = np.ones(values.shape[-1]) if signs is None else signs
    values = values - values.mean(axis=(0, 1))
    means = values.mean(axis=1)
    within = float(((values - means[:, None]) ** 2 @ signs).sum())
    effects = design.effects(means.reshape(1, *design.shape, -1))
    ss = design.products(effects, effects, signs)[0]
    rounding = ROUNDING * float((values**2).sum())
    return Anova(design, values, signs, np.where(np.abs(ss) > rounding, ss, 0.0), within if within > rounding else 0.0)
