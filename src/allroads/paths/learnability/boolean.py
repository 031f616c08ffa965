"""Baselines that look at the target alone: degree, sensitivity and leap of a Boolean function."""

from __future__ import annotations

from typing import Any

import numpy as np

from allroads.targets.walsh import degree, leap, support, total_influence, walsh

_MOST_BITS = 20


def boolean_rows(inputs: Any) -> np.ndarray | None:
    """The number of each input among the corners of a cube, ``[N]``; ``None`` where they are not all corners, once.

    Inputs have shape ``[N, n]`` with two values in all, zeros and ones or signs (0 and +1 are the bit 0), or are the
    tokens 0 and 1. Every corner must be there exactly once.

    Example:
        >>> boolean_rows(np.array([[1, 1], [-1, 1], [1, -1], [-1, -1]])).tolist()
        [0, 1, 2, 3]
    """
    inputs = np.asarray(inputs)
    inputs = inputs[..., 0] if inputs.ndim == 3 and inputs.shape[-1] == 1 else inputs
    if inputs.ndim != 2 or inputs.shape[1] > _MOST_BITS or len(inputs) != 2 ** inputs.shape[1]:
        return None
    values = np.unique(inputs)
    if values.tolist() == [-1, 1]:
        bits = inputs < 0
    elif values.tolist() == [0, 1]:
        bits = inputs > 0
    else:
        return None
    rows = (bits * 2 ** np.arange(inputs.shape[1])).sum(axis=1).astype(int)
    return rows if len(np.unique(rows)) == len(rows) else None


def boolean_baselines(rows: np.ndarray, labels: Any) -> dict[str, float]:
    """Maximal degree, average sensitivity and leap of a function of bits given at its rows.

    The function is standardised to mean 0 and variance 1 first: labels 0 and 1 and signs give the same. Of several
    outputs each counts by itself and the largest is given.

    References: [odonnell2014], [abbe2023]

    Example:
        The parity of three bits:

        >>> cube = 1 - 2 * (np.arange(8)[:, None] >> np.arange(3) & 1)
        >>> boolean_baselines(boolean_rows(cube), cube.prod(axis=1))
        {'degree': 3.0, 'average sensitivity': 3.0, 'leap': 3.0}
    """
    columns = np.asarray(labels, np.float64).reshape(len(rows), -1)
    found = []
    for column in columns.T:
        table = np.empty(len(rows))
        table[rows] = column
        spread = table.std()
        if spread == 0:
            continue
        coefficients = walsh((table - table.mean()) / spread)
        found.append((degree(coefficients), total_influence(coefficients), leap(support(coefficients))))
    best = np.max(found, axis=0) if found else np.zeros(3)
    return dict(zip(("degree", "average sensitivity", "leap"), map(float, best), strict=True))
