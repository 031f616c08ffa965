"""Mean directional similarity: whether a trajectory of parameters keeps one direction."""

from __future__ import annotations

import jax
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.network import Params
from allroads.results import Measurement, finish
from allroads.status import PathStatus


def directional_similarity(params: Params, origin: int | None = None, *, throw: bool = False) -> Measurement:
    """Mean directional similarity ω: mean cosine between all pairs of checkpoints θ_t, each with itself too.

    ω = 1 where all checkpoints lie on one ray; 1/T where they are orthogonal.

    Args:
        params: A trajectory, a pytree whose leaves are ``[T, …]``.
        origin: Index of the checkpoint that is taken off all others, which are then compared as displacements;
            default: directions from the origin of parameter space. A long common θ₀ makes those alike.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`~allroads.Measurement` from 0 to 1; ``stats["cosines"]`` is the matrix ``[T, T]`` of the checkpoints
        that were compared. Status ``degenerate`` (and NaN) where one of them is zero.

    Raises:
        InputError: If leaves differ in their first axis, parameters are not finite, or there is no such checkpoint.

    When it fails: it is measured in parameters and knows nothing of the function; symmetries of the map change it.

    References: [singh2025]

    Example:
        >>> import numpy as np
        >>> directional_similarity({"w": np.array([[1.0, 0.0], [0.0, 2.0]])})
        0.5
    """
    leaves = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(params)]
    counts = {leaf.shape[:1] for leaf in leaves}
    if len(counts) != 1 or counts == {()}:
        raise InputError(f"params: expected leaves [T, …] with one T; got first axes {sorted(counts)}.")
    points = np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)
    if not np.isfinite(points).all():
        bad = int(np.argmin(np.isfinite(points).all(axis=1)))
        raise InputError(f"params: checkpoint {bad} has a NaN or an infinity; cut the trajectory off before.")
    if origin is not None:
        if not -len(points) <= origin < len(points):
            raise InputError(f"origin: there is no checkpoint {origin} among {len(points)}.")
        points = np.delete(points - points[origin], origin, axis=0)
    lengths = np.linalg.norm(points, axis=1)
    if len(points) == 0 or (lengths == 0).any():
        return finish(Measurement(np.nan, status=PathStatus.DEGENERATE, stats={"origin": origin}), throw)
    units = points / lengths[:, None]
    cosines = np.clip(units @ units.T, -1.0, 1.0)
    return finish(Measurement(float(cosines.mean()), stats={"origin": origin, "cosines": cosines}), throw)
