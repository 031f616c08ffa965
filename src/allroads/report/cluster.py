"""The order of a matrix in which what is alike stands together."""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform


def cluster_order(distances: np.ndarray) -> np.ndarray:
    """Order of the leaves of an average-linkage tree, so that near neighbours stand side by side.

    Args:
        distances: Symmetric ``[n, n]``; NaN stands for the largest distance known.

    Example:
        >>> far = np.array([[0, 9, 1, 9], [9, 0, 9, 1], [1, 9, 0, 9], [9, 1, 9, 0]], dtype=float)
        >>> order = list(cluster_order(far))
        >>> abs(order.index(0) - order.index(2)), abs(order.index(1) - order.index(3))
        (1, 1)
    """
    count = len(distances)
    if count < 3:
        return np.arange(count)
    known = distances[np.isfinite(distances)]
    filled = np.where(np.isfinite(distances), distances, known.max() if known.size else 1.0)
    np.fill_diagonal(filled, 0.0)
    tree = linkage(squareform((filled + filled.T) / 2, checks=False), method="average", optimal_ordering=True)
    return np.asarray(leaves_list(tree))
