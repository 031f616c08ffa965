"""What a path that was taken costs, in the figures of a road."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from allroads.checks import check_options
from allroads.paths.directness import directness
from allroads.paths.resample import image, segment_lengths
from allroads.paths.road.behaviour import path_losses, path_values
from allroads.paths.road.checks import checked_chart, read_path
from allroads.paths.road.options import RoadOptions
from allroads.paths.road.result import Road
from allroads.paths.road.tangent_lift import LocalGeometry, difference, make_lifter, norm
from allroads.paths.stages import stages
from allroads.pfmap.network import Params
from allroads.pfmap.problem import Problem
from allroads.results import finish
from allroads.status import RoadStatus


def path_cost(
    problem: Problem,
    path: Params,
    *,
    chart: str = "outputs",
    held_out: Problem | tuple[Any, Any] | None = None,
    options: RoadOptions = RoadOptions(),  # noqa: B008 - frozen
    throw: bool = False,
) -> Road:
    """Length ``∫ √(żᵀ(K + r)⁻¹ż)`` of a path's image in the kernel's metric: what moving the function so must cost.

    ``ż = Jθ̇``, so it is the length of the horizontal part of the path's motion, at most ``parameter_length``; the rest
    went along the fibre, where the function on these inputs stands still. Gradient flow on the same inputs is
    horizontal throughout: there the two are equal.

    Args:
        problem: The network, the probes (its inputs), and loss and labels: the loss is given at each checkpoint.
        path: Checkpoints, leaves ``[K, …]``, as ``Trajectory.member(i)["params"]``.
        chart: ``"outputs"`` or ``"probabilities"``.
        held_out: A problem, or inputs and labels, whose loss is given too.
        options: Of them ``regularisation`` (r over the kernel's largest eigenvalue at the first checkpoint, so that a
            road from there has the same r), ``dense`` and ``memory``.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`Road` with one entry per checkpoint: ``cost`` beside ``parameter_length``, and ``directness``,
        ``stages`` and ``losses`` of the image as it was taken.

    Raises:
        InputError: If the path is not one of at least two finite points, or options do not fit.
        UnknownNameError: If there is no such chart or loss.
        MemoryBudgetError: If the kernel does not fit.

    When it fails: between checkpoints the path is taken as a segment, so few checkpoints make both lengths too short;
    ``error`` says by how much the kernel changed between them, not what was cut off.

    References: [jacot2018]

    Example:
        Of the motion (3, 4) with x = (1, 0) the function sees the first coordinate alone:

        >>> import jax.numpy as jnp
        >>> from allroads import Network, Problem
        >>> line = Network(lambda key: jnp.zeros(2), lambda w, x: (x @ w)[:, None])
        >>> problem = Problem(line, "mse", jnp.array([[1.0, 0.0]]), jnp.zeros(1))
        >>> found = path_cost(problem, jnp.array([[0.0, 0.0], [3.0, 4.0]]))
        >>> round(found.cost, 4), found.parameter_length
        (3.0, 5.0)
    """
    check_options("options", options, RoadOptions)
    checked_chart(chart)
    count = read_path(path)
    path = problem.population(path, "path")
    points = [jax.tree.map(lambda leaf, k=k: leaf[k], path) for k in range(count)]
    network, inputs = problem.network, problem.data.inputs
    lifter = make_lifter(network, points[0], inputs, chart, options.regularisation, options.dense, options.memory)
    legs, here = [], lifter.at(points[0])
    smallest = [here.smallest]
    for point in points[1:]:
        there = lifter.at(point)
        motion = difference(point, here.params)
        legs.append((float(norm(motion)), *_cost(here, motion), *_cost(there, motion)))
        here = there
        smallest.append(here.smallest)
    moves, before, gain, outside, after, last_gain, last_outside = np.array(legs).T
    values = path_values(network, points, inputs)
    polygon = image(values, chart)
    arc = np.concatenate([[0.0], np.cumsum(segment_lengths(polygon))])
    still = arc[-1] == 0
    lengths = np.concatenate([[0.0], np.cumsum((before + after) / 2)])
    found = Road(
        cost=float(lengths[-1]),
        error=float(abs(before.sum() - after.sum()) / 2),
        status=RoadStatus.DEGENERATE if still else RoadStatus.OK,
        reason="the function does not move along this path." if still else "",
        reached=1.0,
        deviation=_deviation(polygon),
        ts=np.linspace(0, 1, count) if still else arc / arc[-1],
        lengths=lengths,
        gains=np.append(gain, last_gain[-1]),
        outside=np.append(outside, last_outside[-1]),
        smallest=None if lifter.form is None else np.array(smallest),
        path=jax.tree.map(np.asarray, path),
        values=values,
        parameter_length=float(moves.sum()),
        directness=directness(values, chart),
        stages=stages(values, chart=chart),
        losses=path_losses(problem, points, values, problem.held_out(held_out)),
        chart=chart,
        regularisation=lifter.share,
        stats={
            "ridge": lifter.ridge,
            "method": lifter.method,
            "chord": float(np.linalg.norm(polygon[-1] - polygon[0])),
            "distance": float(norm(difference(points[-1], points[0]))),
        },
    )
    return finish(found, throw)


def _cost(place: LocalGeometry, motion: Params) -> tuple[float, float, float]:
    """``√(vᵀ(K + r)⁻¹v)`` of ``v = J motion``, its gain ``‖v‖`` over that, and the share of v out of reach."""
    v = place.push(motion)
    solved = place.solve(v)
    cost = float(np.sqrt(max(0.0, solved.square)))
    return cost, float(np.linalg.norm(v)) / cost if cost > 0 else 0.0, solved.outside


def _deviation(polygon: np.ndarray) -> float:
    """Largest distance of a polygon's corners from the segment between its ends, over the segment's length."""
    chord = polygon[-1] - polygon[0]
    size = float(chord @ chord)
    if size == 0:
        return 0.0 if (polygon == polygon[0]).all() else float("inf")
    share = np.clip((polygon - polygon[0]) @ chord / size, 0.0, 1.0)
    return float(np.linalg.norm(polygon - polygon[0] - share[:, None] * chord, axis=1).max() / np.sqrt(size))
