"""How far the main directions of an embedding are circles."""

from __future__ import annotations

import numpy as np

from allroads.checks import check_count
from allroads.errors import InputError

FLAT = 1e-9
"""Share of the largest singular value below which a direction holds rounding alone."""


def circularity(embedding: np.ndarray, components: int = 4) -> float:
    """Circularity: the largest share of one wave in each of the first principal components of an embedding, averaged.

    The embedding is centred over the residues. Of the values v on a principal component, scaled to length 1, it is
    ``max_k (2/p) |Σ_t v_t exp(2πi k t / p)|²``, at most 1. A component that is a wave of one frequency has 1.

    Args:
        embedding: ``[p, d]``: a row each for the residues 0 … p − 1.
        components: Principal components that count; published: 4.

    Returns:
        A number from 0 to 1.

    Raises:
        InputError: If the embedding is no matrix of finite numbers, or has fewer components that vary.

    When it fails: components of equal variance are any rotation of each other, so that two circles of one size can
    mix. The frequency p/2 of an even p is no circle; its single wave has 2, which is clipped to 1.

    References: [zhong2023]

    Example:
        >>> angles = 2 * np.pi * 3 * np.arange(11) / 11
        >>> round(circularity(np.stack([2 * np.cos(angles), np.sin(angles)], axis=1), components=2), 9)
        1.0
        >>> both = np.cos(angles) + np.cos(2 * angles)
        >>> round(circularity(both[:, None], components=1), 9)
        0.5
    """
    table = np.asarray(embedding, float)
    if table.ndim != 2 or len(table) < 3 or not np.isfinite(table).all():
        raise InputError(f"embedding: expected finite numbers [p, d] with p of 3 or more; got shape {table.shape}.")
    check_count("components", components)
    left, sizes, _ = np.linalg.svd(table - table.mean(axis=0), full_matrices=False)
    varied = int((sizes > FLAT * max(float(sizes[0]), 1e-300)).sum())
    if varied < components:
        raise InputError(f"components is {components}, and the embedding varies along {varied} directions only.")
    waves = np.abs(np.fft.fft(left[:, :components], axis=0)[1:]) ** 2
    return float(np.minimum(2 * waves.max(axis=0) / len(table), 1.0).mean())
