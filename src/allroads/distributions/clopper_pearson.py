"""The exact interval of a probability from counts."""

from __future__ import annotations

from scipy.stats import beta


def clopper_pearson(count: float, samples: float, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a probability, from how often the event came in independent draws.

    It covers the truth with probability ``level`` at least, whatever the truth is. Of weighted draws, effective numbers
    may be given, which need not be whole. The interval is then an approximation.

    References: [clopper1934]

    Example:
        >>> clopper_pearson(0, 100)[0], round(clopper_pearson(0, 100)[1], 6) == round(1 - 0.025**0.01, 6)
        (0.0, True)
    """
    tail = (1 - level) / 2
    low = float(beta.ppf(tail, count, samples - count + 1)) if count else 0.0
    high = float(beta.isf(tail, count + 1, samples - count)) if count < samples else 1.0
    return low, high
