"""Spearman's correlation within strata, with a permutation null and an interval."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import norm, rankdata
from scipy.stats import t as student

from allroads.checks import check_count
from allroads.errors import InputError
from allroads.results import Measurement, Result
from allroads.status import ChannelStatus

FEWEST = 4
"""Members from which on ranks have an interval."""
PERMUTATIONS = 9999
_CHUNK = 2**22


class Ranked(Result):
    """A result whose value is the rank correlation in its field ``correlation``."""

    if TYPE_CHECKING:
        correlation: Measurement

    @property
    def value(self) -> float:
        """ρ."""
        return self.correlation.value

    @property
    def error(self) -> float | None:
        """The larger side of its interval."""
        return self.correlation.error


def rank_relation(
    x: Any, y: Any, strata: Any = None, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> Measurement:
    """Spearman's ρ of x and y, of ranks that are taken within each stratum.

    Ranks are centred within their stratum and then correlated over all members, so what differs between strata does not
    count. With one stratum this is Spearman's ρ.

    Args:
        x: ``[n]``.
        y: ``[n]``.
        strata: One label per member, ``[n]``; default one stratum.
        permutations: Of y within the strata, for the p-value.
        seed: Decides them.

    Returns:
        ρ. ``stats`` holds ``low`` and ``high``, the 95 % interval; ``p``, the share of orders, the observed one
        counted, with as large an absolute ρ; ``members`` and ``strata``. Status ``constant`` where x or y does not vary
        within any stratum.

    The interval of one stratum is that of Fisher's z with the variance of Bonett and Wright. A perfect order counts as
    half a swap of neighbours. Several strata are left out in turn, and the interval also holds that of Fisher's z for
    one stratum with as many degrees of freedom. With two strata the interval says nothing, −1 to 1.

    Raises:
        InputError: If the arrays do not match, are not finite numbers, or hold fewer than four members; if permutations
            are not 1 or more, or the seed is no whole number of 0 or more.

    References: [bonett2000, phipson2010, efron1981]

    Example:
        >>> found = rank_relation([1, 2, 3, 4, 5], [1, 4, 9, 16, 25])
        >>> found.value, round(found.stats["p"], 2)  # 2 of 120 orders are perfect
        (1.0, 0.02)
    """
    check_count("permutations", permutations)
    check_count("seed", seed, 0)
    a, b, groups = _checked(x, y, strata)
    ra, rb = (np.zeros(len(a)) for _ in range(2))
    for group in groups:
        for ranks, values in ((ra, a), (rb, b)):
            ranks[group] = rankdata(values[group]) - (len(group) + 1) / 2
    size = math.sqrt(float((ra**2).sum() * (rb**2).sum()))
    stats: dict[str, Any] = {"members": len(a), "strata": len(groups)}
    if size == 0:
        nothing = {"low": -1.0, "high": 1.0, "p": 1.0}
        return Measurement(math.nan, None, ChannelStatus.CONSTANT, stats | nothing)
    value = float(np.clip((ra * rb).sum() / size, -1, 1))
    low, high = _one(value, len(a) - len(groups) + 1, size)
    if len(groups) > 1:
        low, high = _several(ra, rb, groups, value, low, high)
    stats |= {"low": low, "high": high, "p": _p_value(ra, rb, groups, permutations, seed)}
    return Measurement(value, max(value - low, high - value), ChannelStatus.OK, stats)


def number_per_member(name: str, values: Any) -> np.ndarray:
    """Numbers as an array ``[n]``.

    Raises:
        InputError: If they are no numbers, or have several axes; names them.

    Example:
        >>> number_per_member("times", [1, 2]).tolist()
        [1.0, 2.0]
    """
    try:
        found = np.asarray(values, float)
    except (TypeError, ValueError):
        raise InputError(f"{name}: expected one number per member; got {values!r:.80}.") from None
    if found.ndim != 1:
        raise InputError(f"{name}: expected one number per member; got an array of shape {found.shape}.")
    return found


def _checked(x: Any, y: Any, strata: Any) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Both as numbers, and the members of each stratum."""
    a, b = number_per_member("ranks", x), number_per_member("ranks", y)
    labels = [0] * len(a) if strata is None else np.asarray(strata).tolist()
    if b.shape != a.shape or np.shape(labels) != a.shape:
        raise InputError(
            f"ranks: expected one of each per member; got shapes {a.shape}, {b.shape} and {np.shape(labels)}."
        )
    if len(a) < FEWEST:
        raise InputError(f"ranks: expected {FEWEST} members or more, got {len(a)}; so few have no interval.")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("ranks: expected finite numbers; leave out members without one.")
    groups: dict[Any, list[int]] = {}
    for place, label in enumerate(labels):
        groups.setdefault(label, []).append(place)
    return a, b, [np.array(group) for group in groups.values()]


def _one(value: float, members: int, size: float) -> tuple[float, float]:
    """Fisher's interval; a swap of neighbours lowers the sum of products of ranks, at most ``size``, by 1."""
    perfect = 1 - 0.5 / size
    shown = float(np.clip(value, -perfect, perfect))
    half = norm.ppf(0.975) * math.sqrt((1 + shown**2 / 2) / max(members - 3, 1))
    return min(value, math.tanh(math.atanh(shown) - half)), max(value, math.tanh(math.atanh(shown) + half))


def _several(
    ra: np.ndarray, rb: np.ndarray, groups: list[np.ndarray], value: float, low: float, high: float
) -> tuple[float, float]:
    """The jackknife's interval, widened to hold ``low`` and ``high``: strata that agree by chance have no spread."""
    parts = np.array([[(u[g] * v[g]).sum() for u, v in ((ra, rb), (ra, ra), (rb, rb))] for g in groups])
    rest = parts.sum(axis=0) - parts
    scale = np.sqrt(rest[:, 1] * rest[:, 2])
    if len(groups) < 3 or (scale <= 0).any():
        return -1.0, 1.0
    without = rest[:, 0] / scale
    count = len(groups)
    half = float(student.ppf(0.975, count - 1)) * math.sqrt(
        (count - 1) / count * ((without - without.mean()) ** 2).sum()
    )
    return max(min(value - half, low), -1.0), min(max(value + half, high), 1.0)


def _p_value(ra: np.ndarray, rb: np.ndarray, groups: list[np.ndarray], permutations: int, seed: int) -> float:
    rng = np.random.default_rng(seed)
    observed = abs(float((ra * rb).sum()))
    step, done, count = max(1, _CHUNK // len(ra)), 0, 0
    while done < permutations:
        many = min(step, permutations - done)
        total = np.zeros(many)
        for group in groups:
            total += rng.permuted(np.broadcast_to(rb[group], (many, len(group))), axis=1) @ ra[group]
        count += int((np.abs(total) >= observed - 1e-9 * max(1.0, observed)).sum())
        done += many
    return (1 + count) / (1 + permutations)
