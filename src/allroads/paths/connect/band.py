"""The nudged elastic band: images pushed down across the path and kept apart along it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.paths.connect.curves import POLYGON, chord, joined, weights
from allroads.paths.connect.method import CurveObjective, Fixed, Method, nothing
from allroads.pfmap.objective import Examples

INSERTED = 0.1
"""A piece gets another image where its loss rises over the line between its images by this share of the band's rise."""


def band(objective: CurveObjective, free: int) -> Method:
    """Steps every image against the part of its gradient that is perpendicular to the band.

    The tangent points to the neighbour of higher loss, and at the tops and bottoms of the band is a mixture weighted by
    the differences. Along the band the images are held apart by springs of infinite stiffness: after every step they
    are put back along the polygon, with the distances that the knots say.

    References: [henkelman2000] [draxler2018]
    """
    slopes = jax.vmap(jax.value_and_grad(objective.mean), (0, None))

    def direction(free: Any, fixed: Fixed, data: Examples, key: Any) -> Any:
        points = joined(fixed.ends, free)
        losses, gradients = slopes(points, data)
        tangents, inner = _tangents(points, losses), gradients[1:-1]
        return inner - (inner * tangents).sum(-1, keepdims=True) * tangents

    def along(free: np.ndarray, fixed: Fixed) -> np.ndarray:
        points = joined(fixed.ends, free)
        return np.concatenate([points, (points[1:] + points[:-1]) / 2])

    return Method(chord, nothing, direction, respaced, along, lambda ends: free + 2)


def _tangents(points: Any, losses: Any) -> Any:
    """Unit tangents at the inner points, ``[K − 2, P]``."""
    back, forth = points[1:-1] - points[:-2], points[2:] - points[1:-1]
    fall, rise = losses[1:-1] - losses[:-2], losses[2:] - losses[1:-1]
    large = jnp.maximum(jnp.abs(fall), jnp.abs(rise))
    small = jnp.minimum(jnp.abs(fall), jnp.abs(rise))
    up = losses[2:] > losses[:-2]
    ahead = jnp.where(
        (fall > 0) & (rise > 0), 1.0, jnp.where((fall < 0) & (rise < 0), 0.0, jnp.where(up, large, small))
    )
    behind = jnp.where(
        (fall > 0) & (rise > 0), 0.0, jnp.where((fall < 0) & (rise < 0), 1.0, jnp.where(up, small, large))
    )
    level = (ahead + behind) == 0
    tangents = jnp.where(level, 1.0, ahead)[:, None] * forth + jnp.where(level, 1.0, behind)[:, None] * back
    return tangents / jnp.maximum(jnp.linalg.norm(tangents, axis=-1, keepdims=True), jnp.finfo(tangents.dtype).tiny)


def respaced(free: Any, fixed: Fixed) -> Any:
    """The images moved along their polygon to the shares of its length that the knots say."""
    points = joined(fixed.ends, free)
    pieces = jnp.linalg.norm(jnp.diff(points, axis=0), axis=-1)
    arc = jnp.concatenate([jnp.zeros(1, pieces.dtype), jnp.cumsum(pieces)])
    share = arc / jnp.maximum(arc[-1], jnp.finfo(arc.dtype).tiny)
    return weights(POLYGON, fixed.knots[1:-1].astype(arc.dtype), share) @ points


def inserted(knots: np.ndarray, profiles: np.ndarray, inside: int) -> np.ndarray:
    """Knots with another one in the middle of each piece whose inside rises too far over its ends, in any member.

    Args:
        knots: ``[K]``.
        profiles: Losses ``[M, (K − 1)·(inside + 1) + 1]`` at the images and at ``inside`` places between each two.
        inside: How many places.
    """
    pieces = len(knots) - 1
    starts = profiles[:, :-1].reshape(len(profiles), pieces, inside + 1)
    images = profiles[:, :: inside + 1]
    shares = np.arange(inside + 1) / (inside + 1)
    line = images[:, :-1, None] * (1 - shares) + images[:, 1:, None] * shares
    rise = np.ptp(profiles, axis=1)[:, None]
    split = ((starts - line).max(axis=2) > INSERTED * rise).any(axis=0)
    return np.sort(np.concatenate([knots, (knots[:-1] + knots[1:])[split] / 2]))
