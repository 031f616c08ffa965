"""Measures between points, called with network, loss and data, and with all options, side by side."""

import dataclasses

import jax
import jax.numpy as jnp

from allroads import Problem, barrier, connect, interpolation, path_cost, road
from allroads.paths.connect import CurveOptions
from allroads.paths.connect.connect import resolve_method
from allroads.paths.road import RoadOptions


def barrier_of(network, a, b, loss, inputs, labels, points=25, **options):
    return barrier(Problem(network, loss, inputs, labels), a, b, points=points, **options)


def interpolation_of(network, a, b, loss, inputs, labels, **options):
    return interpolation(Problem(network, loss, inputs, labels), a, b, **options)


def connection_of(network, a, b, loss, inputs, labels, method="bezier", **given):
    chosen = resolve_method(method)
    own, given = _split(type(chosen), given)
    given = {name: value for name, value in given.items() if name not in ("insertions", "chart")}  # of other methods
    options, given = _split(CurveOptions, given)
    method = dataclasses.replace(chosen, **own)
    return connect(
        Problem(network, loss, inputs, labels), a, b, method=method, options=CurveOptions(**options), **given
    )


def road_of(network, params, inputs, target=None, loss="mse", labels=None, **given):
    options, given = _split(RoadOptions, given)
    return road(
        _unlabelled(network, params, inputs, loss, labels), params, target, options=RoadOptions(**options), **given
    )


def path_cost_of(network, path, inputs, loss="mse", labels=None, **given):
    options, given = _split(RoadOptions, given)
    start = jax.tree.map(lambda leaf: leaf[0], path)
    problem = _unlabelled(network, start, inputs, loss, labels)
    return path_cost(problem, path, options=RoadOptions(**options), **given)


def _unlabelled(network, params, inputs, loss, labels):
    """A problem whose labels, where none are given, are zeros: they decide nothing about a road."""
    if labels is None:
        outputs = jax.eval_shape(network.apply, jax.tree.map(lambda leaf: jnp.asarray(leaf, float), params), inputs)
        labels = jnp.zeros(outputs.shape)
    return Problem(network, loss, inputs, labels)


def _split(kind, given):
    names = {field.name for field in dataclasses.fields(kind)}
    own = {name: value for name, value in given.items() if name in names}
    return own, {name: value for name, value in given.items() if name not in names}
