"""Turning: the total angle through which the tangent of a path turns in function space."""

from __future__ import annotations

from typing import Any

import numpy as np

from allroads.paths.angles import corner_angles
from allroads.paths.resample import POINTS, image, resample, segment_lengths
from allroads.results import Measurement, finish
from allroads.status import PathStatus


def turning(values: Any, chart: str = "outputs", points: int | None = POINTS, *, throw: bool = False) -> Measurement:
    """Turning ``∫‖dT̂‖`` of a path's image in radians, T̂ its unit tangent: 0 where it is straight.

    The path is resampled to ``points`` points, evenly by arc length. The angles between consecutive segments are added
    up. So a smooth curve is measured up to its first and last half segment, 1/points of the whole. Turning is also
    called Gauss length [lucas2021].

    Args:
        values: Outputs along the path, ``[T, N, C]``.
        chart: ``"outputs"``, ``"probabilities"`` or ``"sphere"`` (√p).
        points: Resolution; default 256. ``None``: the corners as given; segments of no length are left out.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`~allroads.Measurement` ≥ 0 in radians; ``stats`` has ``chart`` and ``points``. Status
        ``degenerate`` (and NaN) where the path does not move.

    Raises:
        InputError: If the values are not finite or have no path axis.
        UnknownNameError: If there is no such chart.

    When it fails: turning at a step size so large that the path zigzags measures the step size. It grows with the
    resolution for a path that is rough at every scale.

    References:
        [lucas2021]

    Example:
        >>> import math, numpy as np
        >>> corner = turning(np.array([[[0.0, 0.0]], [[1.0, 0.0]], [[1.0, 1.0]]]))
        >>> math.isclose(corner, math.pi / 2)
        True
    """
    polygon = image(values, chart)
    stats = {"chart": chart, "points": points}
    if segment_lengths(polygon).sum() == 0.0:
        return finish(Measurement(np.nan, status=PathStatus.DEGENERATE, stats=stats), throw)
    if points is not None:
        polygon = resample(polygon, points)
    return finish(Measurement(float(corner_angles(polygon).sum()), stats=stats), throw)
