"""Convolutions, as patches and one matrix product.

Under ``vmap`` over weights XLA's own convolution becomes a grouped one, slow on a CPU; patches do not depend on the
weights, so a population shares them, and the product stays a matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from allroads.networks.torch.rules.registry import rule
from allroads.networks.torch.rules.windows import spread, windows

Size = int | Sequence[int]


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
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), (0, 0, 0), *((low, high, 0) for low, high in pads)])
    patches = x  # [N, in, *space] -> [N, in, *kernel, *positions]
    for k, (size, step, gap) in enumerate(zip(kernel, stride, dilation, strict=True)):
        axis = 2 + k
        patches = jnp.stack(windows(patches, axis + k, size, step, gap), axis=axis)
    positions = patches.shape[2 + len(kernel) :]
    n, channels = patches.shape[:2]
    patches = patches.reshape(n, groups, channels // groups * math.prod(kernel), -1)
    weight = weight.reshape(groups, weight.shape[0] // groups, -1)
    out = jnp.einsum("ngkp,gok->ngop", patches, weight).reshape(n, -1, *positions)
    if bias is not None:
        out = out + bias.reshape(-1, *[1] * len(kernel))
    return out[0] if single else out


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
