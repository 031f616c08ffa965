"""The last hidden layer of a network, read and replaced."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np

from allroads.pfmap.jaxpr.intervene import Intermediate, evaluate, intermediates
from allroads.pfmap.precision import float64
from allroads.programs.subject import Subject


def last_hidden(subject: Subject, inputs: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]] | None:
    """Values ``[N, units]`` of the layer that the last product reads, and the outputs from other values of it.

    The layer is the last intermediate before the last matrix product that has one row, or one column, an example.

    Args:
        subject: The network and its point.
        inputs: Examples ``[N, …]``.

    Returns:
        ``(values, outputs_from)``, or ``None`` where there is no such layer.
    """
    apply, params = subject.network.apply, subject.params
    with float64():
        whole, fewer = (intermediates(apply, params, some) for some in (inputs, inputs[:-1]))
        found = _layer(whole, fewer)
        if found is None:
            return None
        path, across, shape = found

        def seen(params: object, inputs: object) -> object:
            return evaluate(apply, params, inputs, capture=[path])[1][path]

        values = np.asarray(jax.jit(seen)(params, inputs))

    def placed(new: np.ndarray) -> np.ndarray:
        return new.T if across else new.reshape(shape)

    @jax.jit
    def run(params: object, inputs: object, value: object) -> object:
        return evaluate(apply, params, inputs, replace={path: value})[0]

    def outputs_from(new: np.ndarray) -> np.ndarray:
        with float64():
            return np.asarray(run(params, inputs, placed(new)))

    return (values.T if across else values.reshape(len(inputs), -1)), outputs_from


def _layer(
    whole: tuple[Intermediate, ...], fewer: tuple[Intermediate, ...]
) -> tuple[str, bool, tuple[int, ...]] | None:
    """Path of the layer, whether examples run along its second axis, and its shape; one example fewer tells it."""
    products = [i for i, intermediate in enumerate(whole) if intermediate.primitive == "dot_general"]
    shapes = {other.path: other.shape for other in fewer}
    for layer in reversed(whole[: products[-1]] if products else ()):
        shape, less = layer.shape, shapes.get(layer.path, ())
        if layer.steps or len(shape) != len(less) or len(shape) < 2 or "float" not in layer.dtype:
            continue
        moving = [axis for axis, (size, other) in enumerate(zip(shape, less, strict=True)) if size != other]
        if layer.primitive != "broadcast_in_dim" and (moving == [0] or (moving == [1] and len(shape) == 2)):
            return layer.path, moving == [1], shape
    return None
