"""Curves as weighted sums of control points: Bezier curves and polygons."""

from __future__ import annotations

from math import comb
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

BEZIER, POLYGON = "bezier", "polygon"


def weights(kind: str, ts: Any, knots: Any) -> Any:
    """How much each control point counts at each t, ``[T, K]``; every row sums to 1. NumPy or JAX, as it is given.

    Args:
        kind: ``"bezier"``: Bernstein polynomials of degree K − 1. ``"polygon"``: straight between neighbours.
        ts: ``[T]``, from 0 to 1.
        knots: ``[K]``, rising from 0 to 1: where a polygon is at its corners. A Bezier curve uses their number.

    Example:
        >>> weights("bezier", np.array([0.5]), np.array([0.0, 0.5, 1.0]))
        array([[0.25, 0.5 , 0.25]])
        >>> weights("polygon", np.array([0.75]), np.array([0.0, 0.5, 1.0]))
        array([[0. , 0.5, 0.5]])
    """
    count = len(knots)
    if kind == BEZIER:
        powers = np.arange(count)
        binomials = np.array([comb(count - 1, k) for k in range(count)], ts.dtype)
        return binomials * ts[:, None] ** powers * (1 - ts[:, None]) ** powers[::-1]
    corners = np.eye(count, dtype=ts.dtype)
    if not isinstance(ts, jax.Array) and not isinstance(knots, jax.Array):
        return np.stack([np.interp(ts, knots, row) for row in corners], axis=1)
    return jax.vmap(lambda row: jnp.interp(ts, knots, row), out_axes=1)(corners)


def even_knots(count: int) -> np.ndarray:
    """Knots of ``count`` control points, evenly spaced."""
    return np.linspace(0.0, 1.0, count)


def joined(ends: Any, free: Any) -> Any:
    """Control points ``[K, P]`` from the two ends ``[2, P]`` and what lies between them ``[K − 2, P]``."""
    return (jnp if isinstance(free, jax.Array) else np).concatenate([ends[:1], free, ends[1:]])


def chord(
    ends: Float[np.ndarray, "2 parameters"], knots: Float[np.ndarray, " knots"]
) -> Float[np.ndarray, "knots-2 parameters"]:
    """Points ``[K − 2, P]`` on the straight segment between two ends, at the inner knots."""
    inner: np.ndarray = ends[0] + knots[1:-1, None].astype(ends.dtype) * (ends[1] - ends[0])
    return inner


def arc_length(kind: str, control: np.ndarray, knots: np.ndarray, pieces: int = 512) -> float:
    """Length of a curve in parameter space: of a polygon exactly, of a Bezier curve as a polygon of many pieces."""
    ts = knots if kind == POLYGON else np.linspace(0.0, 1.0, pieces + 1)
    from_start = np.asarray(control, np.float64) - np.asarray(control[0], np.float64)
    steps = np.diff(weights(kind, ts, knots), axis=0)
    squares = np.einsum("ij,jk,ik->i", steps, from_start @ from_start.T, steps)
    return float(np.sqrt(np.maximum(squares, 0.0)).sum())
