"""The loss on the plane through three points."""

from __future__ import annotations

import numpy as np

from allroads.errors import InputError
from allroads.paths.connect.layout import layout_of
from allroads.paths.landscape.plane import LossPlane, box, check_grid, evaluated, independent
from allroads.pfmap.network import Params
from allroads.pfmap.problem import Problem
from allroads.results import finish


def loss_plane(
    problem: Problem,
    a: Params,
    b: Params,
    c: Params,
    *,
    names: tuple[str, str, str] = ("a", "b", "c"),
    points: int = 31,
    margin: float = 0.25,
    progress: bool = True,
    throw: bool = False,
) -> LossPlane:
    """The loss on the plane through three points.

    The axes are orthonormal: u points from a to b, and v is what is left of c − a at a right angle to u (Gram and
    Schmidt). So distances in the picture are distances between parameters, and a lies at (0, 0).

    Caveat: one plane of very many. Two basins that are apart on it may be joined outside it, and the other way round
    a plane shows no more than the points that were chosen; see :func:`~allroads.connect`.

    Args:
        problem: Network, loss and the examples over which the loss is taken.
        a: The point at the origin.
        b: The point on the first axis.
        c: The third point. Each is a point of the same network.
        names: What the picture calls the three points; default ``("a", "b", "c")``.
        points: Grid points per axis; default 31, so 961 evaluations of the loss. Memory holds one of them at a time.
        margin: Room around the three points, as a share of the longer side of their box; default 0.25.
        progress: Write on the standard error what is being done, from two seconds on.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`LossPlane` with the three points as marks; its ``stats`` hold the three ``sides`` of the
        triangle, |ab|, |ac| and |bc|, in the unit of the parameters.

    Raises:
        InputError: If the points are not of one architecture or not finite, or lie on one line;
            if ``names`` are not three texts that differ.

    When it fails: symmetries of the network move basins apart that compute the same function. Align the points first
    (:func:`~allroads.align`) to see what is left.

    References: [garipov2018]

    Example:
        The loss ½(w₀² + w₁²) over three points of the plane of its two parameters:

        >>> import jax.numpy as jnp
        >>> from allroads import Network, Problem
        >>> bowl = Network(lambda key: jnp.zeros(2), lambda w, x: x * w)
        >>> problem = Problem(bowl, "mse", jnp.ones((1, 2)), jnp.zeros((1, 2)))
        >>> found = loss_plane(problem, jnp.zeros(2), jnp.array([0.0, 2.0]), jnp.array([1.0, 0.0]), points=3, margin=0)
        >>> found.marks.tolist(), found.losses.tolist()
        ([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]], [[0.0, 0.5, 2.0], [0.125, 0.625, 2.125], [0.5, 1.0, 2.5]])
    """
    check_grid(points, margin)
    texts = isinstance(names, tuple | list) and all(isinstance(name, str) for name in names)
    if not texts or len(names) != 3 or len(set(names)) != 3:
        raise InputError(f"names: expected three texts that differ; got {names!r}.")
    a, b = problem.points(a, b)
    _, c = problem.points(a, c)
    layout = layout_of(a, b, False, False)
    flat = [layout.flatten(point).astype(np.float64) for point in (a, b, c)]
    ab, ac, bc = flat[1] - flat[0], flat[2] - flat[0], flat[2] - flat[1]
    size = max(float(np.linalg.norm(point)) for point in (*flat, ab, ac))
    if not np.isfinite(size) or size == 0:
        raise InputError("a, b, c: the three points are the same, so they span no plane. Give three that differ.")
    remedy = "Give another third point, or use interpolation or barrier for the line."
    independent(ab, ac, size, "a, b and c", remedy)
    u = ab / np.linalg.norm(ab)
    across = ac - (ac @ u) * u
    independent(ab, across, size, "a, b and c", remedy)
    v = across / np.linalg.norm(across)
    places = ((0.0, 0.0), (float(ab @ u), 0.0), (float(ac @ u), float(ac @ v)))
    grid = box(np.array(places), points, margin)
    sides = tuple(float(np.linalg.norm(side)) for side in (ab, ac, bc))
    found = evaluated(
        problem,
        "three points",
        layout,
        flat[0],
        (u, v),
        grid,
        dict(zip(names, places, strict=True)),
        {"sides": sides},
        progress,
    )
    return finish(found, throw)
