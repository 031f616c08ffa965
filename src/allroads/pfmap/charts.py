"""Charts of function space: the coordinates in which straightness is judged.

A chart takes the values of a network ``[..., C]`` to coordinates. Straight, direct and turning mean something
only together with the chart, so every figure states it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError, UnknownNameError


def _namespace(values: Any) -> Any:
    return jnp if isinstance(values, jax.Array) else np


def _log_probabilities(values: Any) -> Any:
    """Log-softmax over the last axis; one output alone is a logit against zero."""
    xp = _namespace(values)
    if values.shape[-1] == 1:
        values = xp.concatenate([xp.zeros_like(values), values], axis=-1)
    shifted = values - values.max(axis=-1, keepdims=True)
    return shifted - xp.log(xp.exp(shifted).sum(axis=-1, keepdims=True))


def outputs(values: Any) -> Any:
    """The values themselves, ``[..., C]``.

    Example:
        >>> outputs(np.array([1.0, 2.0]))
        array([1., 2.])
    """
    return values


def probabilities(values: Any) -> Any:
    """Class probabilities: ``softmax(f)``, or ``[1 − σ(f), σ(f)]`` where there is one output, a logit.

    Example:
        >>> probabilities(np.log(np.array([1.0, 3.0])))
        array([0.25, 0.75])
        >>> probabilities(np.log(np.array([3.0])))
        array([0.25, 0.75])
    """
    return _namespace(values).exp(_log_probabilities(values))


def sphere(values: Any) -> Any:
    """Square roots of the class probabilities: a point on the unit sphere.

    Taken as ``exp(½ log p)``, so its derivative stays finite where a probability goes to zero.

    Example:
        >>> sphere(np.log(np.array([9.0, 16.0])))
        array([0.6, 0.8])
    """
    return _namespace(values).exp(0.5 * _log_probabilities(values))


CHARTS: dict[str, Callable[[Any], Any]] = {
    "outputs": outputs,
    "probabilities": probabilities,
    "sphere": sphere,
}


def to_chart(values: Any, chart: str = "outputs") -> Any:
    """Values of a network in the coordinates of a chart.

    Args:
        values: ``[..., C]``, NumPy or JAX; integers are read as floats. What comes in as JAX goes out as JAX.
        chart: ``"outputs"`` (default: the values as they are), ``"probabilities"`` (softmax over the last
            axis) or ``"sphere"`` (square roots of those). The last two read the values as class scores in
            nats; one output (C = 1) is a logit and gives two coordinates, of the answers 0 and 1.

    Returns:
        ``[..., C]``, or ``[..., 2]`` for one output in the charts of probabilities. All in units of the
        outputs, or pure numbers.

    Raises:
        UnknownNameError: If no chart has that name.
        InputError: If the values have no axis of outputs.

    Fails where the outputs are not class scores: a regression network has no probabilities, though the
    numbers exist.

    References: [mao2024] for the sphere.

    Example:
        >>> to_chart(np.zeros((1, 4)), "sphere")
        array([[0.5, 0.5, 0.5, 0.5]])
    """
    if chart not in CHARTS:
        raise UnknownNameError("chart", chart, CHARTS)
    values = values if isinstance(values, jax.Array) else np.asarray(values)
    if values.ndim == 0 or values.shape[-1] == 0:
        raise InputError(
            f"chart {chart!r}: values have shape {values.shape}; expected [..., C] with at least one output. "
            "Pass the values as the network gives them."
        )
    if not jnp.issubdtype(values.dtype, jnp.inexact):
        values = values.astype(float)
    return CHARTS[chart](values)
