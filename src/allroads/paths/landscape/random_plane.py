"""The loss on a plane of two random directions with the norms of the network's filters."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from allroads.checks import check_choice, check_count, check_number
from allroads.errors import InputError
from allroads.paths.connect.layout import layout_of
from allroads.paths.landscape.filters import filters, normalised_direction
from allroads.paths.landscape.plane import LossPlane, check_grid, evaluated, independent
from allroads.pfmap.network import Params
from allroads.pfmap.problem import Problem
from allroads.pfmap.symmetries.group import named_leaves
from allroads.results import finish

VECTORS = ("fixed", "own")
"""What becomes of leaves of fewer than two axes."""


def random_plane(
    problem: Problem,
    params: Params,
    *,
    points: int = 31,
    span: float = 1.0,
    vectors: str = "fixed",
    seed: int = 0,
    progress: bool = True,
    throw: bool = False,
) -> LossPlane:
    """The loss around a point on the plane of two random directions, each filter with the norm that it has there.

    A filter is the set of weights that feed one unit or one channel (:func:`~allroads.paths.landscape.filters` reads
    them off the network). Each direction is Gaussian, and every filter of it is scaled to the norm of the point's own
    filter. So one unit of a coordinate moves every filter by its own size. Rescaling the layers of a ReLU network
    against each other, which leaves its function as it is, leaves this picture as it is.

    Conventions: parameters of fewer than two axes (biases, scales of normalisations) do not move, as with the option
    ``biasbn`` of Li and others' code; ``vectors="own"`` moves them along themselves, as that code does without it. A
    leaf of two axes or more in which no filters are seen is one filter; ``stats["whole"]`` names it. The two
    directions are not made orthogonal; ``stats["cosine"]`` says how nearly they are.

    Caveat: two random directions of very many. Nearly all directions of a trained network are flat beside the few that
    its eigenvalues show (:func:`~allroads.spectrum`), so a smooth picture says little of those few, and other seeds
    give other pictures.

    Args:
        problem: Network, loss and the examples over which the loss is taken.
        params: The point in the middle.
        points: Grid points per axis; default 31, so 961 evaluations of the loss. An odd number has the point itself
            among them. Memory holds one of them at a time.
        span: Coordinates run from −span to span; default 1.
        vectors: ``"fixed"`` or ``"own"``, see above.
        seed: Of the directions.
        progress: Write on the standard error what is being done, from two seconds on.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`LossPlane` with the mark ``point``; its ``stats`` hold the ``seed``, the number of ``filters``, the
        names of leaves that are one filter (``whole``), the ``lengths`` of the directions and their ``cosine``.

    Raises:
        InputError: If the point is none of this network, or no parameter moves,
            or with ``vectors="own"`` all of them along themselves.
        UnknownNameError: If there is no such way of ``vectors``.

    When it fails: the picture does change under rescalings of single units, which no filter-wise norm undoes, and
    under anything that makes other filters of the same function.

    References: [li2018]

    Example:
        One filter with the weights 3 and 4, whose output 3 x₀ + 4 x₁ should be 3 on the input (1, 0). Only the first
        weight counts, so the loss is x² times the square of the direction's first weight:

        >>> import jax.numpy as jnp
        >>> from allroads import Network, Problem
        >>> line = Network(lambda key: jnp.ones((2, 1)), lambda w, x: x @ w)
        >>> problem = Problem(line, "mse", [[1.0, 0.0]], [3.0])
        >>> found = random_plane(problem, jnp.array([[3.0], [4.0]]), points=5)
        >>> u, v = (np.asarray(axis)[:, 0] for axis in found.axes)
        >>> [round(float(np.linalg.norm(axis)), 5) for axis in (u, v)]
        [5.0, 5.0]
        >>> np.allclose(found.losses, (found.xs * u[0] + found.ys[:, None] * v[0]) ** 2, rtol=1e-4)
        True
    """
    check_grid(points, 0)
    check_number("span", span, 0, open_low=True)
    check_choice("vectors", vectors, VECTORS)
    check_count("seed", seed, 0)
    params = problem.point(params)
    names = [name for name, _ in named_leaves(params)]
    shapes = [np.ndim(leaf) for leaf in jax.tree.leaves(params)]
    found = filters(problem.network, params, problem.data.inputs)
    rng = np.random.default_rng(seed)
    layout = layout_of(params, params, False, False)
    origin = layout.flatten(params).astype(np.float64)
    u, v = (_flat(normalised_direction(params, found, rng, vectors)) for _ in range(2))
    lengths = (float(np.linalg.norm(u)), float(np.linalg.norm(v)))
    if not min(lengths):
        raise InputError(
            "params: no parameter moves: those of fewer than two axes are held fixed, and all others are 0. Use "
            "loss_plane with points of your own."
        )
    cosine = float(u @ v) / (lengths[0] * lengths[1])
    independent(
        u,
        v - cosine * lengths[1] / lengths[0] * u,
        lengths[0],
        "the two directions",
        "Use loss_plane with points of your own.",
    )
    stats: dict[str, Any] = {
        "seed": seed,
        "filters": sum(len(np.unique(of)) for of in found if of is not None),
        "whole": tuple(n for n, of, d in zip(names, found, shapes, strict=True) if of is None and d > 1),
        "lengths": lengths,
        "cosine": cosine,
    }
    line = np.linspace(-span, span, points)
    plane = evaluated(
        problem, "random directions", layout, origin, (u, v), (line, line), {"point": (0.0, 0.0)}, stats, progress
    )
    return finish(plane, throw)


def _flat(params: Params) -> np.ndarray:
    return np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(params)])
