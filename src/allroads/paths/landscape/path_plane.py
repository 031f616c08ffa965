"""A run's path on the plane of its own first two principal components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from allroads.errors import InputError
from allroads.paths.connect.layout import layout_of
from allroads.paths.landscape.plane import LossPlane, box, check_grid, evaluated, losses_of
from allroads.paths.landscape.random_walk import walk_shares
from allroads.pfmap.network import Params
from allroads.pfmap.problem import Problem
from allroads.results import Result, finish
from allroads.status import PathStatus, Status

COLUMNS = 2**20
"""Numbers of the path that are put into double precision at once."""


@dataclass(frozen=True, eq=False, repr=False)
class PathPlane(Result):
    """A path seen on the plane of its first two principal components, with the loss on that plane.

    Args:
        plane: The loss on the plane. Its origin is the mean of the path, its axes are orthonormal.
        coordinates: The path on the plane, ``[T, 2]``, in the unit of the parameters.
        shares: Share of the path's variance that each component explains, ``[T − 1]``, falling; they sum to 1.
        walk_shares: The same of a random walk with the same lengths of steps in many dimensions: the null.
        distances: Distance of every checkpoint from the plane, ``[T]``.
        path_losses: The loss at the checkpoints themselves, ``[T]``, which lie beside the plane.
        status: ``ok``; ``diverged`` where a loss is not finite.
    """

    plane: LossPlane
    coordinates: Float[np.ndarray, "steps 2"]
    shares: Float[np.ndarray, " components"]
    walk_shares: Float[np.ndarray, " components"]
    distances: Float[np.ndarray, " steps"]
    path_losses: Float[np.ndarray, " steps"]
    status: Status

    @property
    def explained(self) -> float:
        """Share of the path's variance that the plane explains."""
        return float(self.shares[:2].sum())

    @property
    def walk_explained(self) -> float:
        """Share that the plane of a random walk with the same lengths of steps explains."""
        return float(self.walk_shares[:2].sum())

    @property
    def value(self) -> float:
        """``explained``."""
        return self.explained

    @property
    def error(self) -> None:
        """``None``: the share is exact for these checkpoints."""
        return None

    @property
    def stats(self) -> dict[str, Any]:
        """``explained``, ``walk_explained``, and what the plane rests on."""
        return {"explained": self.explained, "walk_explained": self.walk_explained, **self.plane.stats}


def path_plane(
    problem: Problem,
    path: Params,
    *,
    points: int = 31,
    margin: float = 0.25,
    progress: bool = True,
    throw: bool = False,
) -> PathPlane:
    """A path on the plane of its own first two principal components, with the share of variance that they explain.

    The components are those of the checkpoints around their mean. (Li and others take the last checkpoint for the
    origin of the picture; the axes are the same.) The sign of an axis is set so that the path ends on its positive
    side.

    Caveat: a random walk in many dimensions looks regular on this plane too, and explains 76 % of its variance by two
    components; so read ``explained`` beside ``walk_explained``, and the loss beside ``path_losses``.

    Args:
        problem: Network, loss and the examples over which the loss is taken.
        path: Checkpoints, leaves ``[T, …]`` with T ≥ 3, as ``Trajectory.member(i)["params"]``.
        points: Grid points per axis; default 31, so 961 evaluations of the loss. Memory holds one of them at a time.
        margin: Room around the path, as a share of the longer side of its box; default 0.25.
        progress: Write on the standard error what is being done, from two seconds on.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`PathPlane`.

    Raises:
        InputError: If the path has fewer than three checkpoints, or is not finite, or does not leave a line.

    When it fails: checkpoints that are unevenly spaced weigh the stretches of a run unevenly. The loss of the picture
    is that of the plane: where ``distances`` are large beside the coordinates, the path does not pass through it.

    References: [li2018] [antognini2018]

    Example:
        >>> import jax.numpy as jnp
        >>> from allroads import Network, Problem
        >>> bowl = Network(lambda key: jnp.zeros(3), lambda w, x: x * w)
        >>> problem = Problem(bowl, "mse", jnp.ones((1, 3)), jnp.zeros((1, 3)))
        >>> found = path_plane(problem, jnp.array([[0.0, 1.0, 5.0], [2.0, 0.0, 5.0], [4.0, 1.0, 5.0]]), points=3)
        >>> (found.coordinates.round(3) + 0.0).tolist()
        [[-2.0, 0.333], [0.0, -0.667], [2.0, 0.333]]
        >>> found.shares.round(3).tolist(), found.distances.round(3).tolist()
        ([0.923, 0.077], [0.0, 0.0, 0.0])
    """
    check_grid(points, margin)
    path = problem.population(path, "path")
    count = len(jax.tree.leaves(path)[0])
    if count < 3:
        raise InputError(f"path: expected at least 3 checkpoints, which can span a plane; got {count}. Record more.")
    first = jax.tree.map(lambda leaf: leaf[0], path)
    layout = layout_of(first, first, False, False)
    flat = layout.flatten(path, axes=1)
    mean = flat.mean(axis=0, dtype=np.float64)
    values, vectors = np.linalg.eigh(_products(flat, mean))
    values, vectors = np.clip(values[::-1][: count - 1], 0.0, None), vectors[:, ::-1]
    size = float(np.linalg.norm(mean)) + float(np.sqrt(values[0]))
    if np.sqrt(values[1]) <= 1e-6 * size:
        raise InputError(
            "path: its checkpoints lie on one line, so they span no plane; use interpolation for the line."
        )
    coordinates = vectors[:, :2] * np.sqrt(values[:2])
    coordinates *= np.where(coordinates[-1] < 0, -1.0, 1.0)
    axes = np.stack([_combined(flat, mean, coordinates[:, d] / values[d]) for d in (0, 1)])
    marks = {"start": tuple(coordinates[0]), "end": tuple(coordinates[-1])}
    grid = box(coordinates, points, margin)
    plane = evaluated(
        problem, "principal components", layout, mean, (axes[0], axes[1]), grid, marks, {"checkpoints": count}, progress
    )
    path_losses = losses_of(problem, layout, flat, np.eye(count), "loss along a path", progress)
    lengths = np.array([np.linalg.norm(flat[k + 1].astype(np.float64) - flat[k]) for k in range(count - 1)])
    found = PathPlane(
        plane=plane,
        coordinates=coordinates,
        shares=values / values.sum(),
        walk_shares=walk_shares(lengths),
        distances=np.array(
            [_distance(point, mean, axes, place) for point, place in zip(flat, coordinates, strict=True)]
        ),
        path_losses=path_losses,
        status=plane.status if np.isfinite(path_losses).all() else PathStatus.DIVERGED,
    )
    return finish(found, throw)


def _products(flat: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Inner products of the centred checkpoints, ``[T, T]``, in double precision and bounded memory."""
    products = np.zeros((len(flat), len(flat)))
    width = max(COLUMNS // len(flat), 1)
    for begin in range(0, flat.shape[1], width):
        part = flat[:, begin : begin + width] - mean[begin : begin + width]
        products += part @ part.T
    return products


def _combined(flat: np.ndarray, mean: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """``Σ_t shares_t (flat_t − mean)``."""
    found = np.zeros(flat.shape[1])
    for share, point in zip(shares, flat, strict=True):
        found += share * (point - mean)
    return found


def _distance(point: np.ndarray, mean: np.ndarray, axes: np.ndarray, place: np.ndarray) -> float:
    """Distance of a checkpoint from its place on the plane."""
    return float(np.linalg.norm(point - mean - place @ axes))
