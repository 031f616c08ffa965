"""What relabellings say of slopes other than zero: the interval, and the smallest slope that would be seen."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq


def confidence_interval(
    slope: float, norm: float, shifts: np.ndarray, overlaps: np.ndarray, level: float
) -> tuple[float, float]:
    """The slopes that a permutation test does not reject.

    Relabelling π rejects nothing at β where ``|shift_π - β overlap_π| ≥ norm |slope - β|``. As ``|overlap| ≤ norm``,
    these β form an interval around ``slope``, whose ends are the two crossings. A slope is kept where enough of these
    intervals hold it.

    Args:
        slope: The estimate.
        norm: Length of the predictor's residual.
        shifts: Product of the response with each relabelled residual, over the latter's length ``[P]``.
        overlaps: Product of the predictor's residual with it, likewise.
        level: Level of the test.

    Returns:
        ``(low, high)``; infinite where the relabellings are too few for the level.

    Example:
        A relabelled slope of ±1 at norm 1 keeps β within 1 of the estimate.

        >>> confidence_interval(3.0, 1.0, np.array([1.0, -1.0] * 50), np.zeros(100), 0.05)
        (2.0, 4.0)
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        one = (norm * slope - shifts) / (norm - overlaps)
        two = (norm * slope + shifts) / (norm + overlaps)
    one[~np.isfinite(one)], two[~np.isfinite(two)] = -np.inf, np.inf
    needed = int(np.floor(level * (1 + len(shifts)) + 1e-9))
    if needed < 1:
        return -np.inf, np.inf
    low, high = np.sort(np.minimum(one, two)), np.sort(np.maximum(one, two))
    return float(low[needed - 1]), float(high[-needed])


def detectable_slope(
    slope: float, norm: float, shifts: np.ndarray, overlaps: np.ndarray, level: float, power: float
) -> float:
    """The smallest slope, in absolute value, that the test finds with a given chance; the worse of both signs.

    The response of the thought experiment is ``β x`` plus the residuals of the real one under another relabelling.

    Args:
        slope: As of :func:`confidence_interval`.
        norm: As there.
        shifts: As there.
        overlaps: As there.
        level: Level of the test.
        power: The chance.

    Returns:
        The slope; infinite where no slope is found with that chance.

    Example:
        Normal noise of deviation 1 needs 1.96 + 0.84 deviations.

        >>> from scipy.stats import norm as normal
        >>> noise = normal.ppf((np.arange(9999) + 0.5) / 9999)
        >>> round(detectable_slope(0.0, 1.0, noise, np.zeros(9999), 0.05, 0.8), 2)
        2.8
    """
    noise = (shifts - slope * overlaps) / norm
    own = overlaps / norm

    def lacking(beta: float) -> float:
        critical = np.quantile(np.abs(noise + beta * own), 1 - level)
        return float(np.quantile(np.abs(beta + noise), 1 - power) - critical)

    found = []
    for sign in (1.0, -1.0):
        top = float(np.abs(noise).max()) or 1.0
        tries = 0
        while lacking(sign * top) < 0 and tries < 40:
            top, tries = 2 * top, tries + 1
        if tries == 40:
            return float("inf")
        found.append(0.0 if lacking(0.0) >= 0 else brentq(lambda b, s=sign: lacking(s * b), 0.0, top, xtol=1e-9 * top))
    return float(max(found))
