"""Distances between trajectories: at equal progress, and without any clock."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from allroads.errors import InputError
from allroads.paths.inpca import bhattacharyya
from allroads.paths.progress import geodesic_progress
from allroads.paths.resample import image, resample, segment_lengths
from allroads.pfmap.charts import to_chart
from allroads.results import Measurement, finish
from allroads.status import PathStatus


def trajectory_distance(
    a: Any, b: Any, target: Any, start: Any = None, points: int = 100, *, throw: bool = False
) -> Measurement:
    """Mean Bhattacharyya distance of two runs at equal progress, ``1/(s₁−s₀) ∫ d_B(a(s), b(s)) ds``.

    Each run is a function of its geodesic progress s, and not of its steps. So a fast and a slow run on the same road
    are at distance 0. A run counts where it *first* reaches a progress; between two records its √p is
    interpolated and normalised.

    Args:
        a: Class scores ``[T, N, …, C]`` of one run.
        b: Of the other, ``[S, N, …, C]`` on the same probes; T and S may differ.
        target: Truth, see :func:`allroads.geodesic_progress`.
        start: Ignorance; default: uniform.
        points: Values of progress; default 100, as in [mao2024].
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`~allroads.Measurement` in nats; ``stats`` has ``progress``, the interval that both runs cover. Status
        ``degenerate`` (and NaN) where they share none.

    Raises:
        InputError: If the probes differ, fewer than two points are asked for, or as ``geodesic_progress``.

    References: [mao2024]

    Example:
        >>> import numpy as np
        >>> run = np.linspace(0, 4, 50)[:, None, None] * np.array([[1.0, -1.0]])
        >>> bool(trajectory_distance(run, run[::7], [0]) < 1e-5)
        True
    """
    _same_probes(a, b)
    if points < 2:
        raise InputError(f"points: expected at least 2 values of progress; got {points}.")
    runs = [_by_progress(run, target, start) for run in (a, b)]
    low, high = max(progress[0] for progress, _ in runs), min(progress[-1] for progress, _ in runs)
    if not high > low:
        return finish(
            Measurement(np.nan, status=PathStatus.DEGENERATE, stats={"progress": (low, high), "points": points}), throw
        )
    grid = np.linspace(low, high, points)
    at = [_interpolated(progress, roots, grid) ** 2 for progress, roots in runs]
    apart = [float(bhattacharyya(p[None], q[None])[0, 0]) for p, q in zip(*at, strict=True)]
    value = float(np.trapezoid(apart, grid) / (high - low))
    return finish(Measurement(value, stats={"progress": (float(low), float(high)), "points": points}), throw)


def frechet(a: Any, b: Any, chart: str = "outputs", points: int = 100, *, throw: bool = False) -> Measurement:
    """Discrete Fréchet distance: the shortest leash on which two paths can be walked, both forward only.

    Args:
        a: Outputs along one path, ``[T, N, …, C]``.
        b: Along the other, on the same probes.
        chart: ``"outputs"``, ``"probabilities"`` or ``"sphere"``.
        points: Both are resampled to that many points evenly by arc length; the leash is exact up to one spacing.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`~allroads.Measurement` in the chart's unit, Euclidean over all probes and outputs together.

    Raises:
        InputError: If the probes differ, a path is not finite, or fewer than two points are asked for.

    References: [eiter1994]

    Example:
        >>> import numpy as np
        >>> line = np.linspace(0, 1, 5)[:, None, None]
        >>> frechet(line, line + 0.25)
        0.25
    """
    _same_probes(a, b)
    p, q = (resample(image(path, chart), points) for path in (a, b))
    apart = np.sqrt(np.maximum((p**2).sum(1)[:, None] + (q**2).sum(1) - 2 * p @ q.T, 0.0))
    leash = np.maximum.accumulate(apart[0])
    for row in apart[1:]:
        before, leash = leash, np.empty_like(leash)
        leash[0] = max(before[0], row[0])
        for j in range(1, len(row)):
            leash[j] = max(row[j], min(before[j], before[j - 1], leash[j - 1]))
    lengths = tuple(float(segment_lengths(polygon).sum()) for polygon in (p, q))
    return finish(Measurement(float(leash[-1]), stats={"chart": chart, "points": points, "lengths": lengths}), throw)


def _same_probes(a: Any, b: Any) -> None:
    if np.shape(a)[1:] != np.shape(b)[1:]:
        raise InputError(f"paths on different probes: {np.shape(a)[1:]} and {np.shape(b)[1:]}; expected the same.")


def _by_progress(values: Any, target: Any, start: Any) -> tuple[np.ndarray, np.ndarray]:
    """Progress, strictly growing, and the roots of probabilities ``[·, N, C]`` where it is first reached."""
    progress = geodesic_progress(values, target, start)
    best = np.maximum.accumulate(progress)
    first = np.concatenate([[True], best[1:] > best[:-1]])
    roots = to_chart(np.asarray(values, np.float64), "sphere")
    return progress[first], roots.reshape(len(roots), -1, roots.shape[-1])[first]


def _interpolated(
    progress: Float[np.ndarray, " models"],
    roots: Float[np.ndarray, "models probes classes"],
    grid: Float[np.ndarray, " places"],
) -> Float[np.ndarray, "places probes classes"]:
    right = np.clip(np.searchsorted(progress, grid, side="right"), 1, len(progress) - 1)
    share = ((grid - progress[right - 1]) / (progress[right] - progress[right - 1]))[:, None, None]
    between = (1 - share) * roots[right - 1] + share * roots[right]
    unit: np.ndarray = between / np.linalg.norm(between, axis=-1, keepdims=True)
    return unit
