"""How little the right answer's logit depends on the distance of the two residues."""

from __future__ import annotations

import numpy as np

from allroads.errors import InputError

CONSTANT = 1e-5
"""Standard deviation, relative to the largest logit, up to which logits are one constant with rounding of weights."""


def distance_irrelevance(scores: np.ndarray, a: int = 1, b: int = 1) -> float:
    """Distance irrelevance ``mean_d std(L | d) / std(L)``, with L the right answer's logit and d = a x − b y mod p.

    The standard deviation at one distance runs over all pairs (x, y) of it. Logits that hang on the distance alone have
    the value 0, and those that hang on a x + b y alone the value 1. The pizza's logit of the right answer is
    ``Σ_k |cos(π k d / p)|`` up to a factor, so that its value is 0. The clock's is one constant, of which noise alone
    decides the value; published networks with usual attention have .57 to .98.

    Args:
        scores: L for all pairs, ``[p, p]`` (x, y): raw logits, as published.
        a: Factor of x, without a common divisor with p.
        b: Factor of y, without a common divisor with p.

    Returns:
        A number from 0 to 1; NaN where L is one constant, up to 1e-5 of its size.

    Raises:
        InputError: If the scores are no square table of finite numbers, or a factor has a common divisor with p.

    When it fails: raw logits of one pair may be shifted together without any change of the network's probabilities, and
    the value then changes. The published values of the two kinds overlap widely, so that it decides nothing alone.

    References: [zhong2023]

    Example:
        A sum of a part of x + y and an independent one of x − y has the root of the first one's share of the variance:

        >>> x, y = np.indices((7, 7))
        >>> wave = lambda r: np.cos(2 * np.pi * r / 7)
        >>> round(distance_irrelevance(3 * wave(x + y) + 4 * wave(x - y)), 9)
        0.6
        >>> round(distance_irrelevance(np.abs(np.cos(np.pi * (x - y) / 7))), 9)  # a pizza
        0.0
    """
    scores = np.asarray(scores, float)
    p = len(scores)
    if scores.shape != (p, p) or p < 2 or not np.isfinite(scores).all():
        raise InputError(f"scores: expected finite numbers [p, p], one a pair; got an array of shape {scores.shape}.")
    for name, factor in (("a", a), ("b", b)):
        if np.gcd(factor, p) != 1:
            raise InputError(f"{name} is {factor}, which has a common divisor with p = {p}.")
    x, y = np.indices((p, p))
    order = np.argsort(((a * x - b * y) % p).ravel(), kind="stable")
    rows = scores.ravel()[order].reshape(p, p)  # one row a distance
    spread = float(scores.std())
    if spread <= CONSTANT * max(float(np.abs(scores).max()), 1e-300):
        return float("nan")
    return float(rows.std(axis=1).mean() / spread)
