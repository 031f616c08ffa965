"""Alignment: sets of hidden units that may hold a part of a formula."""

from __future__ import annotations

import numpy as np

DETERMINED = 0.02
"""Share of a unit's variance that may be left when the part's value is known."""

LEFT_OVER = (1e-6, 1e-3, 0.02)
"""Shares of the part's variance that an affine reading of a set of units may leave; one set is made for each."""

MOST_READ = 96
"""Units of one intermediate up to which affine readings are looked for."""


def candidate_sets(values: np.ndarray, part: np.ndarray) -> list[tuple[int, ...]]:
    """Sets of units that may hold a part: those that it determines, and small ones that it can be read from.

    A unit is determined where the part's two values leave little of its variance. A set reads the part where it is an
    affine function of them; units are left out of the whole set, the least needed first, while it stays one.

    Args:
        values: Units ``[N, U]`` on all examples.
        part: Values of the part ``[N]``, 0 and 1.

    When it fails: of equal units one alone stays in a reading; a set is a guess until an exchange has tested it.

    Example:
        XOR read from the units of a ReLU layer, between which it is spread, beside a unit that holds something else:

        >>> s = np.array([0, 1, 1, 2, 0, 1, 1, 2.0])
        >>> other = np.array([0, 0, 0, 0, 1, 1, 1, 1.0])
        >>> candidate_sets(np.stack([s, other, np.maximum(s - 1, 0)], axis=1), s % 2)
        [(0, 2)]
    """
    part = part.astype(float)
    total = float(part.var())
    if total == 0:
        return []
    centred = values - values.mean(axis=0)
    variance = centred.var(axis=0)
    moving = np.flatnonzero(variance > 1e-18 * max(1.0, float((values**2).max(initial=0.0))))
    explained = (centred.T @ (part - part.mean()) / len(part)) ** 2 / total
    determined = [int(u) for u in moving if variance[u] - explained[u] <= DETERMINED * variance[u]]
    found = [tuple(determined)] if determined else []
    if 0 < len(moving) <= MOST_READ:
        found += _readings(centred[:, moving] / np.sqrt(variance[moving]), part - part.mean(), moving)
    return list(dict.fromkeys(found))


def _readings(units: np.ndarray, part: np.ndarray, names: np.ndarray) -> list[tuple[int, ...]]:
    """Sets from which the part can be read, one for each share that may be left."""
    active = list(range(len(names)))
    gram, cross = units.T @ units / len(part), units.T @ part / len(part)
    total = float(part @ part) / len(part)
    found: dict[float, tuple[int, ...]] = {}
    while active:
        inverse = np.linalg.inv(gram[np.ix_(active, active)] + 1e-10 * np.eye(len(active)))
        coefficients = inverse @ cross[active]
        left = max(0.0, total - float(coefficients @ cross[active])) / total
        for share in LEFT_OVER:
            if left <= share:
                found[share] = tuple(int(names[k]) for k in active)
        if left > LEFT_OVER[-1]:
            break
        active.pop(int((coefficients**2 / np.diag(inverse)).argmin()))
    return list(found.values())
