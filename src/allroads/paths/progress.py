"""Progress: how far a model has come on the geodesic from ignorance to truth."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from allroads.errors import InputError
from allroads.paths.convexity import class_probabilities
from allroads.paths.resample import checked_values
from allroads.pfmap.charts import to_chart

_GOLDEN = (np.sqrt(5) - 1) / 2


def geodesic(start: Any, end: Any, ts: Any) -> Float[np.ndarray, "places probes classes"]:
    """Great circles from one table of probabilities to another: ``√p(t) = [sin((1−t)φ) √p₀ + sin(tφ) √p₁] / sin φ``.

    Each probe goes along its own circle, with ``cos φ = Σ_c √(p₀ p₁)``; all arrive together.

    Args:
        start: Probabilities ``[N, C]``.
        end: Probabilities ``[N, C]``.
        ts: Where, ``[m]``, from 0 to 1.

    Returns:
        Roots of probabilities ``[m, N, C]``, each of length 1.

    References: [mao2024]

    Example:
        >>> (geodesic([[0.5, 0.5]], [[1.0, 0.0]], [0.0, 1.0]) ** 2).round(12).tolist()
        [[[0.5, 0.5]], [[1.0, 0.0]]]
    """
    s, e = np.sqrt(np.asarray(start, np.float64)), np.sqrt(np.asarray(end, np.float64))
    t = np.asarray(ts, np.float64)[:, None, None]
    phi = sphere_angles(s, e)[..., None]
    # sin(tφ) / sin φ, which is t where φ is 0.
    sine = np.where(phi > 0, np.sin(phi), 1.0)
    shares = [np.where(phi > 0, np.sin(u * phi) / sine, u) for u in (1 - t, t)]
    between: np.ndarray = shares[0] * s + shares[1] * e
    return between


def sphere_angles(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angles between unit vectors along the last axis."""
    angles: np.ndarray = 2 * np.arctan2(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1))
    return angles


def geodesic_progress(values: Any, target: Any, start: Any = None) -> Float[np.ndarray, " models"]:
    """Progress ``argmin_t Σ_n arccos⟨√p_n, √p_n(t)⟩`` of each model on the geodesic from ignorance to truth.

    The sum of angles is looked at for 65 values of t and its least one refined by golden section to 10⁻⁸; the first
    where several are least. A sum of angles is not smooth: a share of probes that sit on the geodesic hold t there.

    Args:
        values: Class scores ``[T, N, …, C]``, or logits ``[T, N, 1]``, of T models: a path or any other set.
        target: Truth: classes ``[N, …]`` or probabilities ``[N, …, C]`` (two columns for logits).
        start: Ignorance, as probabilities like the target's; default: uniform.

    Returns:
        ``[T]``, from 0 (ignorance) to 1 (truth).

    Raises:
        InputError: If values are not finite, target or start are no probabilities, or start and target are the same.

    When it fails: a model far from the geodesic has a progress too.

    References: [mao2024]

    Example:
        >>> import numpy as np
        >>> halfway = geodesic([[0.5, 0.5]], [[1.0, 0.0]], [0.5])
        >>> geodesic_progress(2 * np.log(halfway), [0]).round(6).tolist()
        [0.5]
    """
    values = checked_values(values)
    if values.ndim < 3:
        raise InputError(f"values: expected class scores [T, N, C] of T models; got shape {values.shape}.")
    roots = to_chart(values, "sphere")
    truth = class_probabilities(values, target)
    classes = truth.shape[-1]
    origin = np.full(truth.shape, 1 / classes) if start is None else class_probabilities(values, start)
    if np.array_equal(origin, truth):
        raise InputError("start: it is the target itself, so there is no way to go; leave it out or choose another.")
    roots, truth, origin = (a.reshape(*a.shape[: a.ndim - truth.ndim], -1, classes) for a in (roots, truth, origin))

    def apart(ts: np.ndarray) -> np.ndarray:
        """Sum of angles between each model and its own point of the geodesic."""
        total: np.ndarray = sphere_angles(roots, geodesic(origin, truth, ts)).sum(axis=-1)
        return total

    grid = np.linspace(0.0, 1.0, 65)
    distances = np.stack([sphere_angles(roots, point).sum(axis=-1) for point in geodesic(origin, truth, grid)])
    best = grid[distances.argmin(axis=0)]
    low, high = np.clip(best - grid[1], 0.0, 1.0), np.clip(best + grid[1], 0.0, 1.0)
    for _ in range(34):  # 1/32 · 0.618³⁴ < 10⁻⁸
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        down = apart(left) <= apart(right)
        low, high = np.where(down, low, left), np.where(down, right, high)
    middle = (low + high) / 2
    ends = np.stack([low, middle, high])
    nearest: np.ndarray = ends[np.stack([apart(t) for t in ends]).argmin(axis=0), np.arange(len(roots))]
    return nearest
