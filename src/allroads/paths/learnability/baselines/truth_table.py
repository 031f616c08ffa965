"""Truth table of a Boolean function from its inputs and labels, and its Walsh–Fourier coefficients."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allroads.targets.walsh import walsh

_MOST_BITS = 20


def truth_table_rows(inputs: ArrayLike) -> NDArray[np.int_] | None:
    """Row of each input in the truth table, ``[N]``; ``None`` unless every corner of the cube occurs exactly once.

    Inputs have shape ``[N, n]`` with two values in all: zeros and ones, or signs, or the tokens 0 and 1. The values 0
    and +1 (of signs) are the bit 0.

    Example:
        >>> truth_table_rows(np.array([[1, 1], [-1, 1], [1, -1], [-1, -1]])).tolist()
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
    rows: NDArray[np.int_] = (bits * 2 ** np.arange(inputs.shape[1])).sum(axis=1).astype(int)
    return rows if len(np.unique(rows)) == len(rows) else None


def walsh_coefficients(rows: NDArray[np.int_], labels: ArrayLike) -> list[NDArray[np.float64]]:
    """Walsh–Fourier coefficients ``[2ⁿ]`` of every output that is not constant, standardised to mean 0 and variance 1.

    Labels 0 and 1 and signs therefore give the same coefficients.

    Args:
        rows: Row of each label in the truth table, of :func:`truth_table_rows`.
        labels: ``[N]`` or ``[N, C]``.

    Example:
        >>> walsh_coefficients(np.arange(2), [1, 0])[0].tolist()
        [0.0, 1.0]
    """
    columns = np.asarray(labels, np.float64).reshape(len(rows), -1)
    found = []
    for column in columns.T:
        table = np.empty(len(rows))
        table[rows] = column
        spread = table.std()
        if spread > 0:
            found.append(walsh((table - table.mean()) / spread))
    return found
