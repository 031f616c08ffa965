"""Several measures of the complexity of one network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from allroads.errors import InputError
from allroads.pfmap.losses import PerExampleLoss
from allroads.pfmap.network import Network, Params
from allroads.pfmap.problem import Problem
from allroads.points.description.compressed_length import compressed_length
from allroads.points.description.factorised_size import factorised_size
from allroads.points.description.prequential_length import prequential_length
from allroads.points.description.quantised_size import quantised_size

Measure = Callable[[Network, Params, str | PerExampleLoss, Any, Any], Any]

NETWORK_MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "quantised_size": quantised_size,
        "quantised_size_row_column": partial(quantised_size, scales="row_column"),
        "compressed_length": compressed_length,
        "factorised_size": factorised_size,
    }
)
"""Measures of a point, ``(network, params, loss, inputs, labels) -> result``, by name."""


def network_complexity(
    network: Network,
    params: Params,
    loss: str | PerExampleLoss,
    inputs: Any,
    labels: Any,
    *,
    measures: Mapping[str, Measure] = NETWORK_MEASURES,
    training: Mapping[str, Any] | None = None,
) -> Mapping[str, Any]:
    """Several measures of how complex a network is. They disagree, and none of them is *the* simplicity.

    Args:
        network: The network.
        params: The point.
        loss: Name or ``(outputs, labels) -> per-example losses``.
        inputs: ``[N, …]``.
        labels: ``[N, …]``.
        measures: What is measured at the point: functions ``(network, params, loss, inputs, labels) -> result`` by
            name. Any other of that form may stand beside the default ones, ``NETWORK_MEASURES``, as in the example;
            options go in by :func:`functools.partial`.
        training: Options of :func:`prequential_length` (at least ``steps``), to add ``"prequential_length"``: what the
            labels cost a learner, which depends on network and training and not on the point. ``None`` leaves it out.

    Returns:
        The results by name, each with its own unit and convention in ``stats["convention"]``.

    Raises:
        InputError: As the measures, if one is not a function, or if ``training`` has no ``steps``.

    Example:
        >>> import jax.numpy as jnp
        >>> from allroads import Network
        >>> line = Network(lambda key: jnp.zeros(2), lambda w, x: x * w)
        >>> point = jnp.array([1.0, 3.0])
        >>> largest = lambda network, params, loss, inputs, labels: float(jnp.abs(params).max())
        >>> measures = {**NETWORK_MEASURES, "largest": largest}
        >>> found = network_complexity(line, point, "mse", jnp.ones((1, 2)), point[None], measures=measures)
        >>> found["quantised_size"], found["largest"], len(found)
        (38 ± 0, 3.0, 5)
    """
    for name, measure in measures.items():
        if not callable(measure):
            raise InputError(
                f"measure {name!r} is {measure!r}; expected a function (network, params, loss, inputs, labels)."
            )
    found = {name: measure(network, params, loss, inputs, labels) for name, measure in measures.items()}
    if training is not None:
        if "steps" not in training:
            raise InputError("training: expected the options of prequential_length, 'steps' among them.")
        found["prequential_length"] = prequential_length(Problem(network, loss, inputs, labels), **training)
    return MappingProxyType(found)
