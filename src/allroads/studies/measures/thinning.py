"""Which records stand for all of them."""

from __future__ import annotations

import numpy as np


def spread(records: int, most: int) -> np.ndarray:
    """Indices of at most ``most`` records, spread evenly, both ends among them.

    Example:
        >>> spread(9, 3).tolist(), spread(2, 16).tolist()
        ([0, 4, 8], [0, 1])
    """
    return np.unique(np.rint(np.linspace(0, records - 1, min(records, most))).astype(int))
