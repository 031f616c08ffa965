"""Collision probability: how likely two members are the same."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence

from allroads.errors import InputError
from allroads.results import Measurement

CONFIDENCE = 0.95
"""Of the intervals."""


def counts_of(labels: Iterable[Hashable]) -> list[int]:
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
    return counts


def collision_probability(labels: Sequence[Hashable]) -> Measurement:
    """Probability ``Σ p²`` that two independent members have the same label, such as the same function or program.

    The estimate is the share of pairs of members with equal labels, which is unbiased. The interval in
    ``stats["low"]`` and ``stats["high"]`` holds the truth with probability 95 % or more for every distribution: it is
    Hoeffding's bound for means over pairs, in its form with the relative entropy.

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
    members = sum(counts)
    value = sum(c * (c - 1) for c in counts) / (members * (members - 1))
    low, high = _interval(value, members // 2)
    stats = {"low": low, "high": high, "members": members, "distinct": len(counts)}
    return Measurement(value, (high - low) / 2, stats=stats)


def _interval(share: float, independent: int) -> tuple[float, float]:
    """All means whose relative entropy from the share, times the number of independent pairs, is small enough."""
    limit = math.log(2 / (1 - CONFIDENCE)) / independent

    def beyond(mean: float) -> float:
        return _relative_entropy(share, mean) - limit

    return _bisected(beyond, 0.0, share), 1 - _bisected(lambda rest: beyond(1 - rest), 0.0, 1 - share)


def _bisected(beyond: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function crosses 0 on the way from ``low`` to ``high``, to the precision of a double."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if beyond(middle) > 0 else (low, middle)
    return high


def _relative_entropy(a: float, b: float) -> float:
    """Of two coins, in nats."""
    if (a > 0 and b <= 0) or (a < 1 and b >= 1):
        return math.inf
    return (a * math.log(a / b) if a > 0 else 0.0) + ((1 - a) * math.log((1 - a) / (1 - b)) if a < 1 else 0.0)
