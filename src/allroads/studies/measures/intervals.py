"""Intervals of the numbers that findings state."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import polars as pl

RESAMPLES = 500
"""Bootstrap samples behind the interval of a median over pairs."""

NORMAL = NormalDist().inv_cdf(0.975)


def wilson(count: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share.

    Runs that differ in their seed alone are independent, so the interval is valid within a setting. Over given
    settings whose shares differ it is too wide rather than too narrow.

    Args:
        count: How many, 0 to ``of``.
        of: Of how many, at least 1.

    References:
        [wilson1927]

    Example:
        >>> [round(end, 3) for end in wilson(0, 10)], [round(end, 3) for end in wilson(5, 10)]
        ([0.0, 0.278], [0.237, 0.763])
    """
    share, z2 = count / of, NORMAL**2
    centre = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = NORMAL / (1 + z2 / of) * math.sqrt(share * (1 - share) / of + z2 / (4 * of**2))
    return max(0.0, centre - half) if count else 0.0, min(1.0, centre + half) if count < of else 1.0


def median_over_pairs(pairs: pl.DataFrame, column: str) -> tuple[float, float, float]:
    """Median of a column over pairs of runs, with its 95 % interval: whole runs are drawn again within each setting.

    Pairs that share a run go together, so pairs themselves are not drawn. A pair counts as often as the product of the
    times that its two runs were drawn. Drawing runs keeps each setting's own number of them.

    Args:
        pairs: Rows with ``run_a``, ``run_b`` and the column; a row whose number is null is left out.
        column: The numbers.

    Returns:
        The median and the ends of its interval; NaN where there is no number. Two runs alone give no interval: both
        ends are NaN.

    When it fails: with fewer than about six runs per setting the interval is too narrow.

    Example:
        >>> three = pl.DataFrame({"run_a": ["a", "a", "b"], "run_b": ["b", "c", "c"], "x": [2.0, 2.0, 2.0]})
        >>> median_over_pairs(three, "x")
        (2.0, 2.0, 2.0)
    """
    held = pairs.drop_nulls(column).sort(column)
    values = held[column].to_numpy()
    if not len(values):
        return math.nan, math.nan, math.nan
    middle = float(np.median(values))
    settings, place = _settings(held)
    if all(len(runs) < 3 for runs in settings):
        return middle, math.nan, math.nan
    rng = np.random.default_rng(0)
    drawn = np.zeros((RESAMPLES, len(place)), dtype=np.int64)
    for runs in settings:
        drawn[:, runs] = rng.multinomial(len(runs), [1 / len(runs)] * len(runs), size=RESAMPLES)
    first, second = (held[name].replace_strict(place, return_dtype=pl.Int64).to_numpy() for name in ("run_a", "run_b"))
    mass = np.cumsum(drawn[:, first] * drawn[:, second], axis=1)
    mass = mass[mass[:, -1] > 0]
    at = (mass >= mass[:, -1:] / 2).argmax(axis=1)
    low, high = np.quantile(values[at], [0.025, 0.975], method="inverted_cdf")
    return middle, float(low), float(high)


def _settings(pairs: pl.DataFrame) -> tuple[list[list[int]], dict[str, int]]:
    """The runs of each setting, those that pairs join, as places; and the place of each run."""
    place: dict[str, int] = {}
    group: list[int] = []
    for a, b in pairs.select("run_a", "run_b").iter_rows():
        for run in (a, b):
            if run not in place:
                place[run] = len(group)
                group.append(len(group))
        one, other = group[place[a]], group[place[b]]
        if one != other:
            group = [one if label == other else label for label in group]
    labels = dict.fromkeys(group)
    return [[index for index, label in enumerate(group) if label == wanted] for wanted in labels], place
