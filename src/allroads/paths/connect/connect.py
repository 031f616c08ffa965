"""Connecting points by curves of low loss, behind one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError, UnknownNameError
from allroads.paths.align import align as moved_near
from allroads.paths.connect.band import band
from allroads.paths.connect.connection import Connection
from allroads.paths.connect.curves import BEZIER, POLYGON
from allroads.paths.connect.data import check_counts, checked_data
from allroads.paths.connect.expected import expected
from allroads.paths.connect.geodesic import geodesic
from allroads.paths.connect.layout import Layout, layout_of
from allroads.paths.connect.method import Method, Problem
from allroads.paths.connect.rounds import Plan, train_curves
from allroads.paths.connect.short import short
from allroads.paths.connect.star import star
from allroads.paths.connect.summary import summarised
from allroads.pfmap.charts import CHARTS
from allroads.pfmap.losses import PerExampleLoss, resolve_loss
from allroads.pfmap.network import Network, Params


class Recipe(NamedTuple):
    """A method: how it trains, which curve, and how many free points and samples by default."""

    make: Callable[[Problem, int], Method]
    kind: str
    bends: int
    samples: int


METHODS = {
    "bezier": Recipe(expected, BEZIER, 1, 4),
    "polygon": Recipe(expected, POLYGON, 1, 4),
    "short": Recipe(short, POLYGON, 1, 4),
    "neb": Recipe(band, POLYGON, 7, 1),
    "geodesic": Recipe(geodesic, POLYGON, 7, 8),
    "star": Recipe(star, POLYGON, 1, 2),
}


def connect(
    network: Network,
    a: Params,
    b: Params,
    loss: str | PerExampleLoss,
    inputs: Any,
    labels: Any,
    *,
    method: str = "bezier",
    held_out: tuple[Any, Any] | None = None,
    align: str | None = None,
    bends: int | None = None,
    steps: int = 800,
    learning_rate: float = 0.02,
    batch_size: int | None = 256,
    samples: int | None = None,
    insertions: int = 2,
    chart: str = "outputs",
    points: int = 61,
    population: bool = False,
    seed: int = 0,
) -> Connection | list[Connection]:
    """A curve γ of low loss between two points, with its own barrier ``max_t L(γ(t)) − [(1−t) L(a) + t L(b)]``.

    - ``"bezier"``: Bezier curve with ``bends`` free control points (1: quadratic) that lowers ``∫ L(γ(t)) dt``.
    - ``"polygon"``: the same for a polygon with ``bends`` free corners.
    - ``"short"``: polygon with ``bends`` free corners that lowers the loss along itself and its length in parameter
      space: two pieces by default. ``length / distance`` near 1 says that the two lie in one nearly convex valley.
    - ``"neb"``: nudged elastic band of ``bends`` images, each pushed down across the band. Twice by default, further
      images are put where the loss between two rises by more than a tenth of the band's rise over the line between
      them. It goes through the lowest pass that it finds: its top is a saddle.
    - ``"geodesic"``: polygon that is short in function space; labels play no part. See ``docs/connect.md`` for the
      metric.
    - ``"star"``: ``b`` is a population, and one centre is sought from which segments of low loss lead to ``a`` and to
      all of ``b``. The curves are the polygons from ``a`` over the centre to each member.

    The free points start on the segment, with an offset of 1 % to break symmetry, and are trained by Adam in one
    compiled loop. The ends never move.

    Args:
        network: The network of both.
        a: One end.
        b: The other; for ``"star"`` with a leading member axis.
        loss: Name or ``(outputs, labels) -> per-example losses``.
        inputs: ``[N, …]``, of the training data; a tuple where the network takes one.
        labels: ``[N, …]``.
        method: See above.
        held_out: Inputs and labels on which the profile is taken too.
        align: ``None``, or a method of :func:`~allroads.align` that moves ``b`` near ``a`` first, by ``inputs`` alone.
        bends: Free points; default 1 for Bezier curves, polygons and short ones, 7 for bands and geodesics.
        steps: Steps of training, rounded up to whole eighths; for ``"neb"`` all its rounds together. Default 800.
        learning_rate: Of Adam, in units of the ends' root mean square difference; default 0.02. It is constant and
            falls to zero over the last 30 % of the steps.
        batch_size: Examples a step, drawn with replacement; default 256, ``None`` for all.
        samples: Points of the curve in one step; default 4, for geodesics 8, for stars 2 of each arm.
        insertions: How many times ``"neb"`` may put in images.
        chart: Of function space, for geodesics: ``"outputs"``, ``"probabilities"`` or ``"sphere"``.
        points: Evaluations of the profile, evenly in t; corners, and 15 places round the top, are added. Default 61.
        population: Both ends have a leading member axis: pairs, all trained side by side. The memory of a step is
            that of members × samples × batch.
        seed: Of the offset, the batches and the samples.

    Returns:
        A :class:`Connection`; a list of them with ``population`` and for ``"star"``.

    Raises:
        InputError: If the points are not of one architecture or not finite, shapes of the data do not fit, or an
            option is out of range.
        UnknownNameError: If there is no such method, loss, chart or method of alignment.

    When it fails: what is found is a local optimum, so a barrier that is left proves nothing; that none is left proves
    a connection, up to what the grid of t misses. Almost any two trained networks can be connected by some curve, so
    a low curve says little about their relation: compare its length and the straight barrier.

    References:
        [garipov2018] [draxler2018] [henkelman2000] [sonthalia2024] [lin2024]

    Example:
        Two points on the circle where the loss ``(|w|² − 1)²`` is zero; a cubic nearly follows it:

        >>> ring = Network(lambda key: jnp.ones(2), lambda w, x: x * (w**2).sum())
        >>> data = ("mse", jnp.ones((1, 1)), jnp.ones((1, 1)))
        >>> found = connect(ring, jnp.array([-1.0, 0.0]), jnp.array([1.0, 0.0]), *data, bends=2)
        >>> found.straight.height, found.height < 0.01, 3.0 < found.length < 3.3
        (1.0, True, True)
    """
    if method not in METHODS:
        raise UnknownNameError("connecting method", method, METHODS)
    if chart not in CHARTS:
        raise UnknownNameError("chart", chart, CHARTS)
    recipe, of_star = METHODS[method], method == "star"
    bends = recipe.bends if bends is None else bends
    samples = recipe.samples if samples is None else samples
    if of_star and (population or bends != 1):
        raise InputError("connect: a star has one free point, its centre, and one population, b; leave out the rest.")
    check_counts(
        bends=(bends, 1), steps=(steps, 1), samples=(samples, 1), insertions=(insertions, 0), points=(points, 2)
    )
    check_counts(batch_size=(1 if batch_size is None else batch_size, 1))
    if not (np.isfinite(learning_rate) and learning_rate > 0):
        raise InputError(f"connect: learning_rate must be positive and finite; got {learning_rate!r}.")
    resolve_loss(loss)
    many = population or of_star
    problem = Problem(network, loss, layout_of(a, b, population, many), recipe.kind, samples, chart)
    data = checked_data(problem, _member(a, 0) if population else a, inputs, labels, held_out)
    if align is not None:
        b = _aligned(a, b, population, many, lambda p, q: moved_near(network, p, q, inputs, method=align, loss=loss))
    pairs = _pairs(problem.layout, a, b, population, many)
    ends = np.concatenate([pairs[:1, 0], pairs[:, 1]])[None] if of_star else pairs
    plan = Plan(bends, steps, insertions + 1 if method == "neb" else 1, learning_rate, batch_size, seed)
    trained = train_curves(recipe.make, problem, plan, ends, *data[0])
    found = summarised(method, problem, pairs, trained, points, data)
    return found if many else found[0]


def _pairs(layout: Layout, a: Params, b: Params, population: bool, many: bool) -> np.ndarray:
    """Both ends of every curve as vectors, ``[M, 2, P]``.

    Raises:
        InputError: If the populations differ in size.
    """
    start, goal = layout.flatten(a, axes=int(population)), layout.flatten(b, axes=int(many))
    start, goal = start.reshape(-1, layout.size), goal.reshape(-1, layout.size)
    if population and len(start) != len(goal):
        raise InputError(f"connect: a has {len(start)} members and b has {len(goal)}; expected pairs.")
    return np.stack([np.broadcast_to(start, goal.shape), goal], axis=1)


def _aligned(a: Params, b: Params, population: bool, many: bool, move: Callable[[Params, Params], Any]) -> Params:
    """Every member of ``b`` moved near its partner, or near ``a`` where there is one ``a`` alone."""
    if not many:
        return move(a, b).params
    count = len(jax.tree.leaves(b)[0])
    moved = [move(_member(a, m) if population else a, _member(b, m)).params for m in range(count)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *moved)


def _member(population: Params, m: int) -> Params:
    return jax.tree.map(lambda leaf: leaf[m], population)
