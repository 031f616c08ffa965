"""Spearman's correlation within strata, with a permutation null and an interval."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.stats import norm, rankdata
from scipy.stats import t as student

from allroads.errors import InputError
from allroads.results import Measurement
from allroads.status import ChannelStatus

FEWEST = 4
"""Members from which on ranks have an interval."""
PERMUTATIONS = 9999
_CHUNK = 2**22


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
    half a swap of neighbours. Several strata are left out in turn; with two strata the interval says nothing, −1 to 1.

    Raises:
        InputError: If the arrays do not match, are not finite, or hold fewer than four members.

    References: [bonett2000, phipson2010, efron1981]

    Example:
        >>> found = rank_relation([1, 2, 3, 4, 5], [1, 4, 9, 16, 25])
        >>> found.value, round(found.stats["p"], 2)  # 2 of 120 orders are perfect
        (1.0, 0.02)
    """
    a, b, labels = _checked(x, y, strata)
    _, places = np.unique(labels, return_inverse=True)
    groups = [np.flatnonzero(places == g) for g in range(places.max() + 1)]
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
    low, high = _one(value, len(a)) if len(groups) == 1 else _several(ra, rb, groups, value)
    stats |= {"low": low, "high": high, "p": _p_value(ra, rb, groups, permutations, seed)}
    return Measurement(value, max(value - low, high - value), ChannelStatus.OK, stats)


def _checked(x: Any, y: Any, strata: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    a, b = np.asarray(x, float), np.asarray(y, float)
    labels = np.zeros(len(a), int) if strata is None else np.asarray(strata)
    if a.ndim != 1 or b.shape != a.shape or labels.shape != a.shape:
        raise InputError(f"ranks: expected one of each per member; got shapes {a.shape}, {b.shape} and {labels.shape}.")
    if len(a) < FEWEST:
        raise InputError(f"ranks: expected {FEWEST} members or more, got {len(a)}; so few have no interval.")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("ranks: expected finite numbers; leave out members without one.")
    return a, b, labels


def _one(value: float, members: int) -> tuple[float, float]:
    perfect = 1 - 6 / (members * (members**2 - 1))
    shown = float(np.clip(value, -perfect, perfect))
    half = norm.ppf(0.975) * math.sqrt((1 + shown**2 / 2) / max(members - 3, 1))
    return min(value, math.tanh(math.atanh(shown) - half)), max(value, math.tanh(math.atanh(shown) + half))


def _several(ra: np.ndarray, rb: np.ndarray, groups: list[np.ndarray], value: float) -> tuple[float, float]:
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
    return max(value - half, -1.0), min(value + half, 1.0)


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
