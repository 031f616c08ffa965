"""Coordinates whose squared differences are distances, so that the analysis of distances becomes one of variance."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from allroads.errors import InputError

LARGEST = 4096
"""Rows of a matrix of distances above which its coordinates are not computed."""


def of_bits(table: Any) -> Float[np.ndarray, "rows bits"]:
    """Coordinates ``[rows, bits]`` of truth tables; squared differences sum to the share of bits that differ.

    Args:
        table: ``[rows, bits]`` of 0 and 1, or of false and true.

    Raises:
        InputError: If it holds anything else.

    Example:
        >>> a, b = of_bits([[0, 1, 1, 0], [1, 1, 1, 0]])
        >>> float(((a - b) ** 2).sum())
        0.25
    """
    bits = np.asarray(table)
    if bits.ndim != 2 or not bits.size or bits.dtype.kind not in "biuf" or not np.isin(bits, (0, 1)).all():
        raise InputError(f"response: expected truth tables, 0 and 1 of shape [rows, bits]; got shape {bits.shape}.")
    points: np.ndarray = bits.astype(np.float64) / np.sqrt(bits.shape[1])
    return points


def of_labels(codes: Int[np.ndarray, " rows"]) -> Float[np.ndarray, "rows labels"]:
    """Coordinates of labels at distance 1 where they differ and 0 where they are equal.

    Example:
        >>> a, b = of_labels(np.array([0, 1]))
        >>> round(float(((a - b) ** 2).sum()), 12)
        1.0
    """
    points: np.ndarray = np.eye(int(codes.max()) + 1)[codes] / np.sqrt(2)
    return points


def of_distances(
    matrix: Any, exponent: float = 1.0
) -> tuple[Float[np.ndarray, "rows coordinates"], Float[np.ndarray, " coordinates"]]:
    """Coordinates ``[rows, coordinates]`` and their signs, whose signed squared differences are distance^exponent.

    The exponent 1 gives the energy distance and 2 the permutational analysis of variance. Distances that no Euclidean
    space has need coordinates of negative sign; sums of squares stay exact.

    Args:
        matrix: Symmetric distances ``[rows, rows]``, 0 on the diagonal, none negative.
        exponent: Above 0, up to 2.

    Raises:
        InputError: If it is no matrix of distances, or has more than 4,096 rows.

    References:
        [anderson2001, rizzo2010]

    Example:
        >>> points, signs = of_distances([[0.0, 4.0], [4.0, 0.0]])
        >>> round(float((points[0] - points[1]) ** 2 @ signs), 12)
        4.0
    """
    distances = np.asarray(matrix, dtype=np.float64)
    if distances.ndim != 2 or distances.shape[0] != distances.shape[1]:
        raise InputError(f"response: expected distances of shape [rows, rows]; got {distances.shape}.")
    if len(distances) > LARGEST:
        raise InputError(f"response: {len(distances)} rows of distances; at most {LARGEST}. Take a part of the runs.")
    if not np.isfinite(distances).all():
        raise InputError("response: a distance is not finite.")
    scale = max(float(np.abs(distances).max()), 1e-300)
    crooked = np.abs(distances - distances.T).max() > 1e-9 * scale or np.abs(np.diag(distances)).max() > 1e-9 * scale
    if crooked or distances.min() < 0:
        raise InputError("response: expected symmetric distances, 0 on the diagonal and none negative.")
    powers = distances**exponent
    centred = powers - powers.mean(axis=0) - powers.mean(axis=1, keepdims=True) + powers.mean()
    values, vectors = np.linalg.eigh(-(centred + centred.T) / 4)
    kept = np.abs(values) > 1e-12 * np.abs(values).max()
    return vectors[:, kept] * np.sqrt(np.abs(values[kept])), np.sign(values[kept])
