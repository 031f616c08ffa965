"""Means and deviations of units, layer by layer, for networks of any kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax.extend import core

from allroads.networks.correlation import channels_as_units
from allroads.pfmap.inputs import number_of_examples
from allroads.pfmap.jaxpr import evaluate_annotated, shaped
from allroads.pfmap.network import Network, Params

LAYERS = ("dot_general", "conv_general_dilated")
"""Primitives that are a layer where they join data and weights."""

_finfo: Callable[[Any], Any] = jnp.finfo

AtLayer = Callable[[int, Any, tuple[int, ...]], Any]
"""``at_layer(number, units, axes) -> units``, where the axes run over data: examples and positions."""


def with_layers(network: Network, params: Params, inputs: Any, at_layer: AtLayer) -> tuple[Any, int, list[str]]:
    """The outputs with every layer changed, the number of layers, and the loops whose layers cannot be seen.

    A layer is a contraction or a convolution of what depends on the inputs with what does not. Its units are the axes
    that come from the weights; adding a bias afterwards shifts their mean alone.
    """
    examples = number_of_examples(inputs)
    count = 0
    loops: list[str] = []

    def rule(
        _: int,
        equation: core.JaxprEqn,
        values: Sequence[Any],
        data: Sequence[bool | None],
        outputs: Sequence[Any],
    ) -> tuple[Sequence[Any], bool]:
        nonlocal count
        name = equation.primitive.name
        if name in ("scan", "while", "cond") and any(data) and _has_layers(equation):
            loops.append(name)
        axes = _data_axes(equation, data)
        if axes and math.prod(outputs[0].shape[d] for d in axes) % examples == 0:
            outputs = [at_layer(count, outputs[0], axes)]
            count += 1
        return outputs, any(data)

    with channels_as_units():
        outputs, _ = evaluate_annotated(network, params, inputs, lambda number: False, True, rule)
    return outputs, count, loops


def _data_axes(equation: core.JaxprEqn, data: Sequence[bool | None]) -> tuple[int, ...]:
    """Axes of a layer's output that run over data; none where the equation is no layer."""
    name = equation.primitive.name
    if name not in LAYERS or bool(data[0]) == bool(data[1]):
        return ()
    rank = shaped(equation.outvars[0]).ndim
    if name == "conv_general_dilated":
        feature = equation.params["dimension_numbers"].out_spec[1]
        return tuple(d for d in range(rank) if d != feature) if data[0] else ()
    (left, right), (batch, _) = equation.params["dimension_numbers"]
    ranks = [shaped(var).ndim for var in equation.invars]
    left_free = ranks[0] - len(left) - len(batch)
    first = len(batch) if data[0] else len(batch) + left_free
    return tuple(range(first, first + (left_free if data[0] else ranks[1] - len(right) - len(batch))))


def _has_layers(equation: core.JaxprEqn) -> bool:
    """Whether a loop or a branch holds contractions or convolutions."""
    bodies = core.jaxprs_in_params(equation.params)
    return any(inner.primitive.name in LAYERS or _has_layers(inner) for body in bodies for inner in body.eqns)


def unit_statistics(network: Network, params: Params, inputs: Any) -> list[tuple[Any, Any]]:
    """Mean and deviation of every unit over the data, one pair per layer, the last one, which reads out, included."""
    found = []

    def at_layer(number: int, units: Any, axes: tuple[int, ...]) -> Any:
        found.append((units.mean(axes), units.std(axes)))
        return units

    with_layers(network, params, inputs, at_layer)
    return found


def corrections(
    network: Network, params: Params, inputs: Any, targets: Sequence[tuple[Any, Any]]
) -> list[tuple[Any, Any]]:
    """Scale and shift of every unit of the hidden layers that give it the mean and deviation asked for.

    Each layer is measured after those before it have been corrected. A unit that does not vary is shifted alone.
    """
    found: list[tuple[Any, Any]] = []

    def at_layer(number: int, units: Any, axes: tuple[int, ...]) -> Any:
        if number >= len(targets):
            return units
        mean, deviation = units.mean(axes), units.std(axes)
        goal_mean, goal = targets[number]
        constant = deviation <= 16 * float(_finfo(units.dtype).eps) * jnp.abs(mean)
        scale = jnp.where(constant, 1, goal / jnp.where(constant, 1, deviation))
        found.append((scale, goal_mean - scale * mean))
        return corrected(units, axes, *found[-1])

    with_layers(network, params, inputs, at_layer)
    return found


def corrected(units: Any, axes: tuple[int, ...], scale: Any, shift: Any) -> Any:
    """``scale · units + shift``, one of each per unit."""
    return units * jnp.expand_dims(scale, axes) + jnp.expand_dims(shift, axes)


def corrected_network(network: Network, layers: int) -> Network:
    """The network with parameters ``{"point": …, "corrections": [(scale, shift), …]}``, one pair per hidden layer."""

    def apply(params: Params, inputs: Any) -> Any:
        def at_layer(number: int, units: Any, axes: tuple[int, ...]) -> Any:
            return corrected(units, axes, *params["corrections"][number]) if number < layers else units

        return with_layers(network, params["point"], inputs, at_layer)[0]

    def init(key: Any) -> Params:
        raise NotImplementedError("a repaired network is made from two points; it has no draw of its own")

    return Network(init, apply, name=f"{network.name}, repaired")
