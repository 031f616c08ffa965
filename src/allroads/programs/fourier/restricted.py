"""Restricted and excluded loss of a network of two residues, as they were published."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from allroads.programs.fourier.spectrum import cross_entropy


def restricted_and_excluded(
    logits: np.ndarray, labels: np.ndarray, frequencies: Sequence[int], train: np.ndarray | None = None
) -> tuple[float, float]:
    """Cross-entropy with the waves of some frequencies alone, and without them.

    For each frequency k, cos and sin of 2π k (x + y) / p over all pairs span two directions. The logits of every answer
    are projected on them. The restricted loss is that of the projection plus the mean over pairs of the whole logits,
    over all pairs. The excluded loss is that of the logits without the projection, over the training pairs. Both take
    all frequencies at once. A network that has memorised keeps its training loss without the waves; one that computes
    by them does not.

    Args:
        logits: ``[p, p, p]`` (x, y, z).
        labels: Right answers ``[p, p]``.
        frequencies: The key frequencies.
        train: Which pairs trained, ``[p, p]`` of booleans; default all.

    Returns:
        ``(restricted, excluded)`` in nats.

    References: [nanda2023]

    Example:
        >>> x, y, z = np.indices((7, 7, 7))
        >>> logits, sums = 9 * np.cos(2 * np.pi * 2 * (x + y - z) / 7), (x + y)[:, :, 0] % 7
        >>> restricted, excluded = restricted_and_excluded(logits, sums, [2])
        >>> bool(abs(restricted - cross_entropy(logits, sums)) < 1e-9), bool(abs(excluded - np.log(7)) < 1e-9)
        (True, True)
    """
    p = len(logits)
    flat = logits.reshape(p * p, p)
    x, y = np.indices((p, p)).reshape(2, -1)
    waves = [f(2 * np.pi * k * (x + y) / p) for k in frequencies for f in (np.cos, np.sin)]
    directions = np.array([wave / np.linalg.norm(wave) for wave in waves if np.linalg.norm(wave) > 1e-6])
    projected = directions.T @ (directions @ flat)
    restricted = cross_entropy((projected + flat.mean(axis=0)).reshape(p, p, p), labels)
    left = (flat - projected).reshape(p, p, p)
    if train is None:
        return restricted, cross_entropy(left, labels)
    rows = left[train][:, None, :]
    return restricted, cross_entropy(rows, labels[train][:, None])
