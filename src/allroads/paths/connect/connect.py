"""Connecting points by curves of low loss, behind one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.budget import budgeted
from allroads.checks import check_choice, check_count, check_options
from allroads.errors import InputError
from allroads.paths.align import align as moved_near
from allroads.paths.connect.connection import Connection
from allroads.paths.connect.layout import Layout, layout_of
from allroads.paths.connect.method import CurveMethod, CurveObjective
from allroads.paths.connect.methods import METHODS, Bezier, Star
from allroads.paths.connect.rounds import CurveOptions, train_curves
from allroads.paths.connect.summary import summarised
from allroads.pfmap.arrays import as_point
from allroads.pfmap.network import Params
from allroads.pfmap.problem import Problem
from allroads.results import finish

ALIGNED = 0.3
"""Share of the time left that alignments may take, all together."""


def connect(
    problem: Problem,
    a: Params,
    b: Params,
    *,
    method: str | CurveMethod = Bezier(),  # noqa: B008 - frozen
    options: CurveOptions = CurveOptions(),  # noqa: B008 - frozen
    held_out: Problem | tuple[Any, Any] | None = None,
    align: str | None = None,
    population: bool = False,
    seed: int = 0,
    budget: float | None = None,
    progress: bool = True,
    throw: bool = False,
) -> Connection | list[Connection]:
    """A curve γ of low loss between two points, with its own barrier ``max_t L(γ(t)) − [(1−t) L(a) + t L(b)]``.

    - ``Bezier(bends, samples)``: Bezier curve (with 1 bend a quadratic one) that lowers ``∫ L(γ(t)) dt``.
    - ``Polygon(bends, samples)``: the same for a polygon.
    - ``ShortPolygon(bends, samples)``: polygon that lowers the loss along itself and its length in parameter space.
    - ``NudgedElasticBand(bends, insertions)``: images, each pushed down across the band; its top is a saddle.
    - ``Geodesic(bends, samples, chart)``: polygon that is short in function space; labels play no part.
    - ``Star(samples)``: ``b`` is a population, and one centre is sought from which segments of low loss lead to ``a``
      and to all of ``b``.

    The free points start on the segment, with an offset of 1 % to break symmetry, and are trained by Adam in one
    compiled loop. The ends never move.

    Args:
        problem: Network, loss and training data.
        a: One end.
        b: The other; for a star a population.
        method: One of the objects above, or its name (``"bezier"``, ``"polygon"``, ``"short"``, ``"neb"``,
            ``"geodesic"``, ``"star"``) for its default options.
        options: Steps, rate and batch size of the training, and evaluations of the profile.
        held_out: A problem, or inputs and labels, on which the profile is taken too.
        align: ``None``, or a method of :func:`~allroads.align` that moves ``b`` near ``a`` first, by the training
            inputs alone.
        population: Both ends have a leading member axis: pairs, all trained side by side.
        seed: Of the offset, the batches and the samples.
        budget: Seconds that the call may take; default no end. It is planned by the speed of the first steps: as many
            are taken as it lasts for, and the rate falls to zero with the last. Alignments may take 30 % of it; where
            they end first, the best matching so far is used. Compilation counts and cannot be interrupted. Ctrl-C ends
            the steps as a budget does; a second one ends the call.
        progress: Whether a bar, or a line every ten seconds, tells what is being done.
        throw: Raise a :class:`~allroads.MeasurementError` where a status is not ``ok``.

    Returns:
        A :class:`Connection`; a list of them for pairs and for a star. The memory of a step is that of members ×
        samples × batch.

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

        >>> from allroads import Network
        >>> ring = Network(lambda key: jnp.ones(2), lambda w, x: x * (w**2).sum())
        >>> problem = Problem(ring, "mse", jnp.ones((1, 1)), jnp.ones((1, 1)))
        >>> found = connect(problem, jnp.array([-1.0, 0.0]), jnp.array([1.0, 0.0]), method=Bezier(bends=2))
        >>> found.straight.height, found.height < 0.01, 3.0 < found.length < 3.3
        (1.0, True, True)
    """
    with budgeted("connect", budget, progress) as clock:
        check_options("options", options, CurveOptions)
        check_count("seed", seed, 0)
        method = resolve_method(method)
        of_star = isinstance(method, Star)
        if of_star and population:
            raise InputError("connect: a star has one point a and a population b; leave out population.")
        many = population or of_star
        a, b = as_point(a, "a", problem.network), as_point(b, "b", problem.network)
        layout = layout_of(a, b, population, many)
        problem.point(_member(a, 0) if population else a, "a")
        data = [of.data for of in (problem, problem.held_out(held_out)) if of is not None]
        if align is not None:
            clock.say(f"aligning by {align}")
            network, inputs, loss = problem.network, problem.data.inputs, problem.loss

            until = clock.spent + ALIGNED * clock.left

            def move(p: Params, q: Params, remaining: int) -> Any:
                own = min(until - clock.spent, clock.left) / remaining
                seconds = max(own, 1e-9) if clock.limited else None
                moved = moved_near(network, p, q, inputs, method=align, loss=loss, budget=seconds, progress=False)
                if moved.ended == "interrupted":
                    clock.interrupt()
                return moved

            b = _aligned(a, b, population, many, move)
        pairs = _pairs(layout, a, b, population, many)
        ends = np.concatenate([pairs[:1, 0], pairs[:, 1]])[None] if of_star else pairs
        objective = CurveObjective(problem.objective, layout, method.kind, method.samples, method.chart)
        trained = train_curves(method, objective, options, ends, data[0], seed, clock)
        clock.say("profile")
        found = [finish(one, throw) for one in summarised(method.name, objective, pairs, trained, options.points, data)]
        return found if many else found[0]


def resolve_method(method: str | CurveMethod) -> CurveMethod:
    """The method behind a name, with its default options.

    Raises:
        UnknownNameError: If there is none of that name.
    """
    if isinstance(method, CurveMethod):
        return method
    check_choice("connecting method", method, METHODS)
    return METHODS[method]()


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


def _aligned(a: Params, b: Params, population: bool, many: bool, move: Callable[[Params, Params, int], Any]) -> Params:
    """Every member of ``b`` moved near its partner, or near ``a`` where there is one ``a`` alone.

    ``move(p, q, remaining)`` is told how many are still to be moved, this one included.
    """
    if not many:
        return move(a, b, 1).params
    count = len(jax.tree.leaves(b)[0])
    moved = [move(_member(a, m) if population else a, _member(b, m), count - m).params for m in range(count)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *moved)


def _member(population: Params, m: int) -> Params:
    return jax.tree.map(lambda leaf: leaf[m], population)
