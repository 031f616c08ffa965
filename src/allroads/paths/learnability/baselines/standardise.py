"""Labels as real functions of mean 0 and variance 1."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def standardised_columns(labels: NDArray[Any]) -> NDArray[np.float64]:
    """Labels as functions of mean 0 and variance 1, ``[N, C]``: numbers as they are, more than two classes one-hot.

    Example:
        >>> standardised_columns(np.array([0, 1, 1, 0])).ravel().tolist()
        [-1.0, 1.0, 1.0, -1.0]
    """
    columns = labels.reshape(len(labels), -1).astype(np.float64)
    if labels.dtype.kind == "i" and len(np.unique(labels)) > 2:
        columns = np.concatenate([columns == value for value in np.unique(labels)], axis=1).astype(np.float64)
    spread = columns.std(axis=0)
    centred = columns - columns.mean(axis=0)
    standardised: NDArray[np.float64] = np.divide(centred, spread, out=np.zeros_like(columns), where=spread > 0)
    return standardised
