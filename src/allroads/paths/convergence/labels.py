"""Collision probability, effective number and entropy of the labels of members, such as functions or programs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from allroads.distributions import collision, missing_mass
from allroads.distributions import effective_number as effective_number_of
from allroads.distributions import entropy as entropy_of
from allroads.errors import InputError
from allroads.results import Measurement
from allroads.status import ConvergenceStatus

COVERED = 0.5
"""Least coverage at which an entropy has an upper end."""


def counts_of(labels: Iterable[Hashable]) -> np.ndarray:
    """How many members have each label, most first.

    Raises:
        InputError: If there are fewer than two members, or a label cannot be compared by its hash.
    """
    try:
        found = Counter(labels)
        counts = sorted(found.values(), reverse=True)
    except TypeError as error:
        raise InputError(f"labels: expected one hashable label per member, such as a text ({error}).") from error
    none = sum(count for label, count in found.items() if label is None or label != label)
    if none:
        raise InputError(f'labels: {none} of {sum(counts)} are None or NaN; expected a label for each, as "none".')
    if sum(counts) < 2:
        raise InputError(f"labels: got {sum(counts)}; expected the labels of two members or more.")
    return np.array(counts)


def collision_probability(labels: Sequence[Hashable]) -> Measurement:
    """Probability ``Σ p²`` that two independent members have the same label, such as the same function or program.

    The estimate is the share of pairs of members with equal labels, which is unbiased. Its interval, ``low`` and
    ``high`` in ``stats``, is that of :func:`allroads.distributions.collision`: of up to 100 members it holds the truth
    with probability 95 % or more for every distribution.

    Args:
        labels: One per member, two or more.

    Returns:
        A :class:`~allroads.Measurement`; ``error`` is half of the interval's width.

    Raises:
        InputError: If there are fewer than two labels, or one is not hashable.

    When it fails: the interval is wide, because it supposes nothing. Of 16 members that are all alike it says .63 to 1.

    References:
        [hoeffding1963]

    Example:
        Two of the six pairs of four members are equal:

        >>> found = collision_probability(["a", "a", "b", "b"])
        >>> round(found.value, 3), found.stats["distinct"]
        (0.333, 2)
    """
    counts = counts_of(labels)
    found = collision(counts)
    stats = {**found.stats, "members": int(counts.sum()), "distinct": len(counts)}
    return Measurement(found.value, (stats["high"] - stats["low"]) / 2, ConvergenceStatus.OK, stats)


def effective_number(labels: Sequence[Hashable]) -> Measurement:
    """Effective number ``1 / Σ p²`` of labels: as many equally probable ones would collide as often.

    It is the inverse of the collision probability, and so are the ends of its interval. Where no two members are alike
    the value is the lower end of the interval, with the status ``lower bound``.

    Args:
        labels: One per member, two or more.

    Returns:
        A :class:`~allroads.Measurement` with ``low`` and ``high`` in ``stats``; the upper end may be infinite.

    Raises:
        InputError: If there are fewer than two labels, or one is not hashable.

    References:
        [hoeffding1963]

    Example:
        >>> float(effective_number(["a"] * 8)), effective_number("abcdefgh").status.value
        (1.0, 'lower bound')
    """
    same = collision_probability(labels)
    found = effective_number_of(same)
    stats = {**same.stats, **found.stats}
    if same.value == 0:
        return Measurement(stats["low"], math.inf, ConvergenceStatus.LOWER_BOUND, stats)
    return Measurement(found.value, (stats["high"] - stats["low"]) / 2, ConvergenceStatus.OK, stats)


def entropy(labels: Sequence[Hashable]) -> Measurement:
    """Shannon entropy ``−Σ p log₂ p`` of labels, in bits, by the estimator of Chao, Wang and Jost.

    The entropy of the counts is too low, because labels are missed; see :func:`allroads.distributions.entropy`.
    ``stats["coverage"]`` is the share of the probability that was seen, by Good and Turing: 1 less the share of members
    whose label no other has.

    Args:
        labels: One per member, two or more.

    Returns:
        A :class:`~allroads.Measurement` with the ends ``low`` and ``high`` of the 95 % interval in ``stats``. Where the
        coverage is below one half, or all members are alike, nothing bounds it from above: ``high`` and ``error`` are
        infinite, and ``low`` is log₂ of the lower end of :func:`effective_number`. Where no two are alike this is also
        the value, with the status ``lower bound``.

    Raises:
        InputError: If there are fewer than two labels, or one is not hashable.

    References:
        [chao2013, good1953]

    Example:
        >>> found = entropy("ab" * 50)
        >>> abs(found.value - 1) < 0.01
        True
    """
    counts = counts_of(labels)
    found = entropy_of(counts)
    coverage = 1 - missing_mass(counts).value
    value, error, status = found.value, float(found.error or 0.0), ConvergenceStatus.OK
    low, high = max(value - error, 0.0), value + error
    if coverage < COVERED or len(counts) == 1:
        low, high, error = math.log2(effective_number(labels).stats["low"]), math.inf, math.inf
        if counts[0] == 1:
            value, status = low, ConvergenceStatus.LOWER_BOUND
    stats = {"low": low, "high": high, "members": int(counts.sum()), "distinct": len(counts), "coverage": coverage}
    return Measurement(value, error, status, stats)
