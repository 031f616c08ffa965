"""A small convolutional network for images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp

from allroads.errors import InputError, UnknownNameError
from allroads.networks.activations import resolve_activation
from allroads.networks.correlation import Sliding, correlate
from allroads.networks.initialisation import Initialisation, affine
from allroads.networks.inputs import checked_inputs, checked_sizes
from allroads.networks.windows import windows
from allroads.pfmap.network import Network, Params


def convolutional(
    input_shape: tuple[int, ...],
    outputs: int,
    *,
    vocabulary: int | None = None,
    per_position: bool = False,
    channels: tuple[int, ...] = (8, 16),
    kernel: int = 3,
    pooling: str = "max",
    pool: int = 2,
    activation: str = "relu",
    init: str = "he",
    scale: float = 1.0,
    bias: str = "zero",
    bias_scale: float = 1.0,
) -> Network:
    """Convolutions, each followed by an activation and pooling, then one affine layer on the flattened map.

    Convolutions have stride 1 and keep the image's size: the border is padded with zeros, ``(kernel − 1) //
    2`` of them before and the rest after. Pooling windows do not overlap; rows and columns left over at the
    end are dropped.

    Args:
        input_shape: ``(H, W)`` or ``(H, W, channels)``.
        outputs: Outputs of one example.
        vocabulary: Must be ``None``: images are real.
        per_position: Must be false.
        channels: Channels of each convolution.
        kernel: Side of the square kernels.
        pooling: ``"max"`` or ``"mean"``.
        pool: Side of the pooling windows; 1 for no pooling.
        activation: A name in ``ACTIVATIONS``.
        init: Rule of the weights' variance, see :class:`Initialisation`; the fan_in of a convolution is
            kernel² · channels in.
        scale: Multiplies every weight.
        bias: Rule of the biases.
        bias_scale: Multiplies every bias.

    Returns:
        A network with parameters ``{"layers": [{"weight": [kernel²·in, out], "bias": [out]}, …], "readout":
        …}``; the rows of a weight run over kernel rows, then kernel columns, then channels.

    Raises:
        InputError: If the inputs are not images, a size is not a positive whole number, or pooling leaves
            nothing.
        UnknownNameError: If a rule, the pooling or the activation does not exist.

    Example:
        >>> network = convolutional((8, 8, 1), 10)
        >>> network.apply(network.init(jax.random.key(0)), jnp.zeros((5, 8, 8, 1))).shape
        (5, 10)
    """
    checked_sizes(input_shape=input_shape, outputs=outputs, channels=channels, kernel=kernel, pool=pool)
    if vocabulary is not None or per_position or len(input_shape) not in (2, 3):
        raise InputError(
            f"convolutional reads real images (H, W) or (H, W, channels) and gives one answer; got "
            f"input_shape={input_shape}, vocabulary={vocabulary}, per_position={per_position}. Use 'mlp' for "
            "others."
        )
    if pooling not in POOLINGS:
        raise UnknownNameError("pooling", pooling, POOLINGS)
    act, draw = resolve_activation(activation), Initialisation(init, scale, bias, bias_scale)
    height, width, depth = (*input_shape, 1)[:3]
    for _ in channels:
        height, width = height // pool, width // pool
    if not (height and width):
        raise InputError(
            f"{len(channels)} poolings by {pool} leave nothing of an image of {input_shape[0]} x "
            f"{input_shape[1]}. Use fewer channels entries or a smaller pool."
        )
    depths = (depth, *channels)
    name = f"convolutional {'-'.join(map(str, (*channels, outputs)))} {activation}"

    def init_params(key: Any) -> Params:
        *keys, readout_key = jax.random.split(key, len(channels) + 1)
        layers = [draw.dense(k, kernel**2 * i, o) for k, i, o in zip(keys, depths, channels, strict=False)]
        return {"layers": layers, "readout": draw.dense(readout_key, height * width * channels[-1], outputs)}

    def apply(params: Params, inputs: Any) -> Any:
        inputs = checked_inputs(inputs, input_shape, vocabulary, name)
        x = inputs.reshape(*inputs.shape[:3], depth).astype(params["readout"]["weight"].dtype)
        x = jnp.moveaxis(x, -1, 1)
        before = (kernel - 1) // 2
        how = Sliding(pads=[(before, kernel - 1 - before)] * 2, stride=[1, 1], dilation=[1, 1])
        for layer in params["layers"]:
            weight = jnp.moveaxis(layer["weight"].reshape(kernel, kernel, x.shape[1], -1), (2, 3), (1, 0))
            x = correlate(x, weight, layer["bias"], how)
            x = _pooled(act(x), pool, pooling)
        return affine(params["readout"], jnp.moveaxis(x, 1, -1).reshape(x.shape[0], -1))

    return Network(init_params, apply, name=name)


def _pooled(x: Any, pool: int, pooling: str) -> Any:
    """Windows of ``x [N, channels, H, W]`` that do not overlap, one axis after the other."""
    for axis in (2, 3):
        x = POOLINGS[pooling](windows(x, axis, pool, pool))
    return x


def _maximum(parts: Sequence[Any]) -> Any:
    """The first of equals wins, and with it the gradient."""
    return reduce(lambda top, part: jnp.where((part > top) | jnp.isnan(part), part, top), parts)


def _mean(parts: Sequence[Any]) -> Any:
    return sum(parts) / len(parts)


POOLINGS: dict[str, Callable[[Sequence[Any]], Any]] = {"max": _maximum, "mean": _mean}
