"""Angles between directions of function space, to full precision for small ones."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def angles(
    a: Float[np.ndarray, "rows coordinates"], b: Float[np.ndarray, "rows coordinates"]
) -> Float[np.ndarray, " rows"]:
    """Angle between each row of ``a`` and of ``b`` in radians; 0 where either is zero.

    Taken as 2·atan2(‖â − b̂‖, ‖â + b̂‖), which keeps small angles that the arccos of a dot product loses to rounding.

    Args:
        a: ``[n, D]``.
        b: ``[n, D]``.

    Returns:
        ``[n]``, from 0 to π.

    Example:
        >>> import numpy as np
        >>> float(angles(np.array([[3.0, 0.0]]), np.array([[1.0, 1e-12]]))[0])
        1e-12
    """
    lengths_a, lengths_b = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    still = (lengths_a == 0) | (lengths_b == 0)
    a = a / np.where(still, 1.0, lengths_a)[:, None]
    b = b / np.where(still, 1.0, lengths_b)[:, None]
    between = 2 * np.arctan2(np.linalg.norm(a - b, axis=1), np.linalg.norm(a + b, axis=1))
    return np.where(still, 0.0, between)


def corner_angles(polygon: Float[np.ndarray, "steps coordinates"]) -> Float[np.ndarray, " corners"]:
    """Angles by which a polygon ``[T, D]`` turns at its corners; segments of no length are left out.

    Example:
        >>> import numpy as np
        >>> square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
        >>> (corner_angles(square) / np.pi).tolist()
        [0.5, 0.5]
    """
    segments = np.diff(polygon, axis=0)
    segments = segments[np.linalg.norm(segments, axis=1) > 0]
    return angles(segments[:-1], segments[1:])
