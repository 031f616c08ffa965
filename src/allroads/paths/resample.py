"""Paths resampled evenly by arc length, so that figures do not depend on when a run was recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from allroads.errors import InputError
from allroads.pfmap.charts import to_chart

POINTS = 256
"""Points that a path is resampled to; structure shorter than 1/256 of its length is not seen."""


def checked_values(values: Any) -> Float[np.ndarray, "steps probes *outputs"]:
    """Outputs along a path ``[T, N, …]`` in double precision, refused where they are not a finite path.

    Raises:
        InputError: If ``values`` has no path axis or is not finite.
    """
    path = np.asarray(values, dtype=np.float64)
    if path.ndim < 2 or path.size == 0:
        raise InputError(f"values: expected the image of a path, [T, N, C] (or [T, D]); got shape {path.shape}.")
    finite = np.isfinite(path).reshape(len(path), -1).all(axis=1)
    if not finite.all():
        raise InputError(f"values: the path is not finite from step {int(np.argmin(finite))} on; cut it off before.")
    return path


def image(values: Any, chart: str) -> Float[np.ndarray, "steps coordinates"]:
    """A path's image in a chart as a polygon ``[T, D]``, in double precision.

    Raises:
        InputError: If ``values`` has no path axis or is not finite.
    """
    path = checked_values(values)
    if chart != "outputs":
        path = np.asarray(to_chart(path, chart), dtype=np.float64)
    return path.reshape(len(path), -1)


def segment_lengths(polygon: Float[np.ndarray, "steps coordinates"]) -> Float[np.ndarray, " steps-1"]:
    """Lengths of the segments of a polygon ``[T, D]``, ``[T−1]``."""
    lengths: np.ndarray = np.linalg.norm(np.diff(polygon, axis=0), axis=1)
    return lengths


def resample(
    polygon: Float[np.ndarray, "corners coordinates"], points: int
) -> Float[np.ndarray, "{points} coordinates"]:
    """``points`` points along a polygon ``[T, D]``, evenly by arc length; first and last are kept.

    Args:
        polygon: Corners of the path, not all the same.
        points: How many, ≥ 2.

    Returns:
        ``[points, D]``.

    Raises:
        InputError: If fewer than two points are asked for.

    Example:
        >>> import numpy as np
        >>> resample(np.array([[0.0], [1.0], [4.0]]), 5)[:, 0].tolist()
        [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    if points < 2:
        raise InputError(f"points: a path needs at least 2; got {points}.")
    arc = np.concatenate([[0.0], np.cumsum(segment_lengths(polygon))])
    wanted = np.linspace(0.0, arc[-1], points)
    right = np.clip(np.searchsorted(arc, wanted, side="right"), 1, len(arc) - 1)
    left = right - 1
    span = arc[right] - arc[left]
    share = np.divide(wanted - arc[left], span, out=np.zeros(points), where=span > 0)[:, None]
    resampled: np.ndarray = polygon[left] * (1 - share) + polygon[right] * share
    return resampled
