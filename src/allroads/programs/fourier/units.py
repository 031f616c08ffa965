"""The last hidden layer of a network, read and replaced."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax
import numpy as np

from allroads.pfmap.jaxpr.intervene import Intermediate, evaluate, intermediates
from allroads.pfmap.precision import float64
from allroads.programs.fourier.sources import affine_sources
from allroads.programs.subject import Subject


def last_hidden(subject: Subject, inputs: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]] | None:
    """Values ``[N, units]`` of the layer that the last product reads, and the outputs from other values of it.

    The layer is the last intermediate before the last matrix product that has one row, or one column, an example. Where
    it is a sum of layers, as the residual stream of a transformer is, it is the last of these: the hidden layer of the
    last MLP. The directions of a sum are units of nothing, and waves are exchanged unit by unit.

    Args:
        subject: The network and its point.
        inputs: Examples ``[N, …]``.

    Returns:
        ``(values, outputs_from)``, or ``None`` where there is no such layer.

    When it fails: behind a layer norm before the readout the stream is no sum of layers, and is then taken itself.

    Example:
        >>> import jax
        >>> from allroads.networks.transformer import transformer
        >>> from allroads.programs.subject import subject_of
        >>> from allroads.targets import build_target
        >>> network, target = transformer((2,), 5, vocabulary=5, d_model=8, d_mlp=6), build_target("modular", p=5)
        >>> subject = subject_of(network, network.init(jax.random.key(0)), target)
        >>> last_hidden(subject, target.full.inputs)[0].shape
        (25, 6)
    """
    apply, params = subject.network.apply, subject.params
    with float64():
        whole, fewer = (intermediates(apply, params, some) for some in (inputs, inputs[:-1]))
        found = _layer(whole, fewer, affine_sources(apply, params, inputs))
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
    whole: tuple[Intermediate, ...], fewer: tuple[Intermediate, ...], sources: Mapping[str, frozenset[str]]
) -> tuple[str, bool, tuple[int, ...]] | None:
    """Path of the layer, whether examples run along its second axis, and its shape; one example fewer tells it."""
    products = [i for i, intermediate in enumerate(whole) if intermediate.primitive == "dot_general"]
    shapes = {other.path: other.shape for other in fewer}
    before = [layer for layer in whole[: products[-1] if products else 0] if _by_example(layer, shapes) is not None]
    if not before:
        return None
    layer, summed = before[-1], sources[before[-1].path]
    if len(summed) > 1:
        layer = next((one for one in reversed(before) if one.path in summed), layer)
    return layer.path, bool(_by_example(layer, shapes)), layer.shape


def _by_example(layer: Intermediate, shapes: Mapping[str, tuple[int, ...]]) -> int | None:
    """The axis along which examples run, 0 or 1; ``None`` where a layer holds no numbers of each."""
    shape, less = layer.shape, shapes.get(layer.path, ())
    if layer.steps or len(shape) != len(less) or len(shape) < 2 or "float" not in layer.dtype:
        return None
    moving = [axis for axis, (size, other) in enumerate(zip(shape, less, strict=True)) if size != other]
    if layer.primitive == "broadcast_in_dim" or (moving != [0] and (moving != [1] or len(shape) != 2)):
        return None
    return moving[0]
