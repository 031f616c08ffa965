"""Sobol indices of the cell means: shares of the variance between cells, without the noise of the seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from allroads.studies.attribution.anova import Anova
from allroads.studies.attribution.inversion import Quantity, weights_of


@dataclass(frozen=True)
class Sobol(Quantity):
    """The Sobol index of a group of terms: its variance as a share of the variance of the true cell means.

    One factor gives its first-order index; all terms that a factor is in give its total index. Each level of a factor
    has equal weight. The variance of a term is estimated without bias, (SS − df·MSW) / N, with the mean square within
    cells, so the noise of the seeds is taken off. All orders count here; nothing is pooled.

    Args:
        design: The terms.
        group: Which terms.

    When it fails: where the cells hardly differ, numerator and denominator are both near zero.

    References:
        [sobol2001]

    Example:
        >>> from allroads.studies.attribution.design import Design
        >>> quantity = Sobol(Design((2, 2), 5, 2), np.array([True, False, True]))
        >>> quantity.truth(np.array([1.0, 2.0, 1.0]), 7.0)
        0.5
    """

    largest: ClassVar[float] = 1.0

    def statistic(self, ss: np.ndarray, within: np.ndarray | float) -> np.ndarray:
        """The estimate; NaN where the estimated variance between cells is not above zero."""
        own, total = self._between(ss, within)
        found: np.ndarray = np.where(total > 0, own / np.where(total > 0, total, 1.0), np.nan)
        return found

    def contrast(self, ss: np.ndarray, within: np.ndarray | float, truth: float) -> np.ndarray:
        """The variance of the group less the given share of that between cells, as a share of all.

        Unlike the estimate, it has no small denominator where the cells hardly differ [fieller1954].
        """
        own, total = self._between(ss, within)
        found: np.ndarray = (own - truth * total) / (ss.sum(-1) + within)
        return found

    def truth(self, variances: np.ndarray, noise: float) -> float:
        """The value in the population, of all terms 1."""
        return 1.0 if self.group.all() else float(variances[self.group].sum() / variances.sum())

    def effects(self, size: float, found: Anova, shrunk: np.ndarray) -> np.ndarray:
        """Effects of which the group has the share ``size`` and the other terms the rest."""
        total = max(float((found.ss - found.design.df * found.noise).sum()), 1e-300)
        if self.group.all():
            return total * weights_of(self.group, found.ss, shrunk)
        own, rest = (weights_of(group, found.ss, shrunk) for group in (self.group, ~self.group))
        effects: np.ndarray = total * (size * own + (1 - size) * rest)
        return effects

    def _between(self, ss: np.ndarray, within: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """Estimated sums of squares of the true effects: of the group and of all terms."""
        true = ss - self.design.df * (np.asarray(within)[..., None] / self.design.df_within)
        return true[..., self.group].sum(-1), true.sum(-1)
