"""Convolutions and transposed convolutions, as correlations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from allroads.networks.correlation import Sliding, correlate
from allroads.networks.torch.rules.registry import rule
from allroads.networks.windows import spread

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
    return correlate(input, weight, bias, Sliding(pads, stride, dilation, groups))


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
    return correlate(x, turned, bias, Sliding(pads, (1,) * axes, dilation, groups))
