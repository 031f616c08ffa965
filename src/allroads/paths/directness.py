"""Directness: how straight a path is in function space, as one ratio."""

from __future__ import annotations

from typing import Any

import numpy as np

from allroads.paths.resample import POINTS, image, resample, segment_lengths
from allroads.results import Measurement, finish
from allroads.status import PathStatus


def directness(values: Any, chart: str = "outputs", points: int | None = POINTS, *, throw: bool = False) -> Measurement:
    """Directness ``‖F(1) − F(0)‖ / ∫‖dF‖``: chord over arc length of a path's image, 1 where it is straight.

    Conventions: length is Euclidean in the chart, over all probes and outputs together. A path with more points than
    ``points`` is first resampled to that many, evenly by arc length. The length of a noisy path would grow with the
    number of its points.

    Args:
        values: Outputs along the path, ``[T, N, C]``.
        chart: ``"outputs"``, ``"probabilities"`` or ``"sphere"`` (√p); straight means another thing in each.
        points: Resolution; default 256. ``None``: every point as given.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`~allroads.Measurement` in (0, 1]; ``stats`` has ``chord``, ``arc``, ``chart`` and ``points``. Status
        ``degenerate`` (and NaN) where the path does not move.

    Raises:
        InputError: If the values are not finite or have no path axis.
        UnknownNameError: If there is no such chart.

    When it fails: low directness does not mean that there is a barrier. Gradient flow on a deep linear network with
    singular values s goes one at a time and tends to ``‖s‖₂/‖s‖₁`` although its loss only falls [saxe2014].

    References:
        [saxe2014]

    Example:
        A right angle with unit legs: √2 / 2.

        >>> import numpy as np
        >>> directness(np.array([[[0.0, 0.0]], [[1.0, 0.0]], [[1.0, 1.0]]]))
        0.707107
    """
    polygon = image(values, chart)
    chord = float(np.linalg.norm(polygon[-1] - polygon[0]))
    arc = float(segment_lengths(polygon).sum())
    stats = {"chord": chord, "arc": arc, "chart": chart, "points": points}
    if arc == 0.0:
        return finish(Measurement(np.nan, status=PathStatus.DEGENERATE, stats=stats), throw)
    if points is not None and len(polygon) > points:
        arc = stats["arc"] = float(segment_lengths(resample(polygon, points)).sum())
    return finish(Measurement(min(1.0, chord / arc), stats=stats), throw)
