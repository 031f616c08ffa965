"""Convolutions, as patches and one matrix product.

Under ``vmap`` over weights XLA's own convolution becomes a grouped one, slow on a CPU; patches of the inputs do not
depend on the weights, so a population shares them, and the product stays a matrix product.

Copying patches, and adding them up in the gradient, is what takes the time where images are small. Along the last axis
of a small image no patches are made: the kernel is written as a banded matrix from input to output columns, most of it
zeros, and multiplied as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

from allroads.networks.torch.rules.registry import rule
from allroads.networks.torch.rules.windows import spread, windows

Size = int | Sequence[int]

BANDED = 4
"""A banded matrix stands for the last axis where that is at most so many kernels long: it multiplies zeros."""


@rule("conv1d", "conv2d", "conv3d")
def _conv(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Any:
    kernel = weight.shape[2:]
    axes = len(kernel)
    stride, dilation = spread(stride, axes), spread(dilation, axes)
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        pads = [(t // 2, t - t // 2) for t in total]
    else:
        pads = [(p, p) for p in spread(0 if isinstance(padding, str) else padding, axes)]
    return _correlate(input, weight, bias, pads, stride, dilation, groups)


def _correlate(
    x: Any,
    weight: Any,
    bias: Any,
    pads: Sequence[tuple[int, int]],
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Any:
    """``weight [out, in/groups, *kernel]`` slid over ``x [..., in, *space]``."""
    kernel = weight.shape[2:]
    single = x.ndim == len(kernel) + 1
    x = x[None] if single else x
    banded = kernel[-1] > 1 and x.shape[-1] <= min(BANDED * kernel[-1], len(x))
    out = (_by_bands if banded else _by_patches)(x, weight, pads, stride, dilation, groups)
    if bias is not None:
        out = out + bias.reshape(-1, *[1] * len(kernel))
    return out[0] if single else out


def _by_patches(
    x: Any,
    weight: Any,
    pads: Sequence[tuple[int, int]],
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Any:
    """Patches along every axis, then one product."""
    kernel = weight.shape[2:]
    patches, positions = _patches(x, kernel, pads, stride, dilation)
    patches = patches.reshape(len(x), groups, x.shape[1] // groups * math.prod(kernel), -1)
    weight = weight.reshape(groups, weight.shape[0] // groups, -1)
    return jnp.einsum("ngkp,gok->ngop", patches, weight).reshape(len(x), -1, *positions)


def _by_bands(
    x: Any,
    weight: Any,
    pads: Sequence[tuple[int, int]],
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Any:
    """Patches along every axis but the last, and a matrix of the kernel from its input to its output positions."""
    *rest, last = weight.shape[2:]
    matrices = jnp.asarray(band(x.shape[-1], last, pads[-1], stride[-1], dilation[-1]), weight.dtype)
    patches, positions = _patches(x, rest, pads[:-1], stride[:-1], dilation[:-1])
    patches = patches.reshape(len(x), groups, x.shape[1] // groups, math.prod(rest), math.prod(positions[:-1]), -1)
    weight = weight.reshape(groups, weight.shape[0] // groups, weight.shape[1], math.prod(rest), last)
    kernels = jnp.einsum("gocrk,kqp->gcrqop", weight, matrices)
    out = jnp.einsum("ngcrhq,gcrqop->ngohp", patches, kernels)
    return out.reshape(len(x), -1, *positions[:-1], matrices.shape[-1])


def _patches(
    x: Any, kernel: Sequence[int], pads: Sequence[tuple[int, int]], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[Any, tuple[int, ...]]:
    """``[N, in, *space]`` to ``[N, in, *kernel, *positions]`` along the first axes of space, and the positions."""
    axes, rest = len(kernel), x.ndim - 2 - len(kernel)
    borders = [(low, high, 0) for low, high in pads]
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), (0, 0, 0), *borders, *[(0, 0, 0)] * rest])
    for k, (size, step, gap) in enumerate(zip(kernel, stride, dilation, strict=True)):
        axis = 2 + k
        x = jnp.stack(windows(x, axis + k, size, step, gap), axis=axis)
    return x, x.shape[2 + axes :]


def band(
    size: int, kernel: int, pads: tuple[int, int], stride: int, dilation: int
) -> Float[np.ndarray, "kernel inputs outputs"]:
    """1 where an output position sees an input position through an element of the kernel, else 0.

    Example:
        >>> band(3, 2, (0, 0), 1, 1)[1]  # the second element looks one to the right
        array([[0., 0.],
               [1., 0.],
               [0., 1.]])
    """
    count = (size + sum(pads) - dilation * (kernel - 1) - 1) // stride + 1
    element, output = np.indices((kernel, count))
    seen = output * stride + element * dilation - pads[0]
    found: np.ndarray = (seen[:, None, :] == np.arange(size)[None, :, None]).astype(float)
    return found


@rule("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def _conv_transpose(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Any:
    """Zeros between the inputs, then a plain convolution with the kernel turned round."""
    kernel = weight.shape[2:]
    axes = len(kernel)
    stride, padding, dilation = spread(stride, axes), spread(padding, axes), spread(dilation, axes)
    interior = [(0, 0, s - 1) for s in stride]
    x = lax.pad(input, jnp.zeros((), input.dtype), [(0, 0, 0)] * (input.ndim - axes) + interior)
    pads = [
        (d * (k - 1) - p, d * (k - 1) - p + extra)
        for d, k, p, extra in zip(dilation, kernel, padding, spread(output_padding, axes), strict=True)
    ]
    # [in, out/groups, *kernel] -> [out, in/groups, *kernel], turned round
    inputs, outputs = weight.shape[:2]
    turned = jnp.flip(weight, tuple(range(2, 2 + axes))).reshape(groups, inputs // groups, outputs, *kernel)
    turned = jnp.swapaxes(turned, 1, 2).reshape(groups * outputs, inputs // groups, *kernel)
    return _correlate(x, turned, bias, pads, (1,) * axes, dilation, groups)
