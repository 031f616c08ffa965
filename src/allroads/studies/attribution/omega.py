"""ω², partial ω² and η²: shares of the variance of the runs.

The first two have a statistic, computed from sums of squares, and a value in the population, computed from variances.
Sums of squares are ``[…, terms]`` and ``[…]`` within cells, so that one function serves a table and all its resamples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from allroads.studies.attribution.design import Design
from allroads.studies.attribution.inversion import Quantity


def ratio(part: np.ndarray | float, whole: np.ndarray | float) -> np.ndarray:
    """Part over whole, 0 where the whole is not above 0 because nothing varies.

    Example:
        >>> ratio(np.array([1.0, 0.0]), np.array([4.0, 0.0])).tolist()
        [0.25, 0.0]
    """
    positive = np.asarray(whole) > 0
    return np.where(positive, part / np.where(positive, whole, 1.0), 0.0)


def residual(design: Design, ss: np.ndarray, within: np.ndarray | float) -> np.ndarray:
    """Mean square of the residual: within cells and of the terms that are pooled."""
    pooled = ~design.kept
    mean: np.ndarray = (within + ss[..., pooled].sum(-1)) / (design.df_within + design.df[pooled].sum())
    return mean


def expected_residual(design: Design, variances: np.ndarray, noise: float) -> float:
    """Mean square of the residual in the population."""
    pooled = ~design.kept
    excess = design.runs * variances[pooled].sum() / (design.df_within + design.df[pooled].sum())
    return float(noise + excess)


@dataclass(frozen=True)
class Omega2(Quantity):
    """ω² of a group of terms: its variance as a share of the variance of all runs.

    The statistic is (SS − df·MSE) / (SST + MSE). Its numerator and denominator are unbiased up to one factor, also
    where cells have unequal variances.

    Args:
        design: The terms.
        group: Which terms.

    When it fails: nonzero interactions among the pooled terms make it too small.

    References:
        [hays1963]

    Example:
        >>> quantity = Omega2(Design((2,), 5, 1), np.array([True]))
        >>> round(float(quantity.statistic(np.array([10.0]), np.array(8.0))), 4)
        0.4737
        >>> quantity.truth(np.array([1.0]), 3.0)
        0.25
    """

    def statistic(self, ss: np.ndarray, within: np.ndarray | float) -> np.ndarray:
        """The estimate."""
        mean = residual(self.design, ss, within)
        found: np.ndarray = ss[..., self.group].sum(-1) - self.design.df[self.group].sum() * mean
        return ratio(found, ss.sum(-1) + within + mean)

    def truth(self, variances: np.ndarray, noise: float) -> float:
        """The value in a population with these variances of the terms and of the noise."""
        return float(ratio(variances[self.group].sum(), variances.sum() + noise))


@dataclass(frozen=True)
class PartialOmega2(Quantity):
    """Partial ω²: the variance of a term as a share of its own and the residual's, 0 where both are 0.

    Example:
        >>> PartialOmega2(Design((2, 2), 5, 2), np.array([True, False, False])).truth(np.array([1.0, 5.0, 0.0]), 3.0)
        0.25
    """

    def statistic(self, ss: np.ndarray, within: np.ndarray | float) -> np.ndarray:
        """The estimate, (SS − df·MSE) / (SS + (N − df)·MSE)."""
        mean = residual(self.design, ss, within)
        own, df = ss[..., self.group].sum(-1), self.design.df[self.group].sum()
        return ratio(own - df * mean, own + (self.design.runs - df) * mean)

    def truth(self, variances: np.ndarray, noise: float) -> float:
        """The value in the population."""
        own = float(variances[self.group].sum())
        return float(ratio(own, own + expected_residual(self.design, variances, noise)))


def eta2(ss: np.ndarray, within: np.ndarray | float) -> np.ndarray:
    """η²: the sum of squares of each term as a share of the total.

    It estimates what ω² estimates, and is too large, the more so the fewer the seeds. Its interval is that of ω².

    Example:
        >>> eta2(np.array([10.0, 20.0]), np.array(70.0)).tolist()
        [0.1, 0.2]
    """
    found: np.ndarray = ss / (ss.sum(-1) + within)[..., None]
    return found
