"""Pooling and resizing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp

from allroads.networks.torch.rules.registry import RULES, rule
from allroads.networks.torch.rules.windows import spread, windows

Size = int | Sequence[int]


def _overhang(size: int, kernel: int, stride: int, pad: int, dilation: int, ceil_mode: bool) -> int:
    """How far the last window of ``ceil_mode`` reaches past the padded input."""
    if not ceil_mode:
        return 0
    reach = dilation * (kernel - 1) + 1
    count = -(-(size + 2 * pad - reach) // stride) + 1
    if (count - 1) * stride >= size + pad:  # a window must start inside the input or its left padding
        count -= 1
    return max(0, (count - 1) * stride + reach - size - 2 * pad)


def _max_pool(
    axes: int,
    self: Any,
    kernel_size: Size,
    stride: Size = (),
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
) -> Any:
    kernel, pads, dilation = spread(kernel_size, axes), spread(padding, axes), spread(dilation, axes)
    stride = spread(stride, axes) if stride else kernel
    space = self.shape[-axes:]
    over = [_overhang(*row, ceil_mode) for row in zip(space, kernel, stride, pads, dilation, strict=True)]
    if any(pads) or any(over):
        widths = [(p, p + o) for p, o in zip(pads, over, strict=True)]
        self = jnp.pad(self, [(0, 0)] * (self.ndim - axes) + widths, constant_values=-math.inf)
    for axis in range(-1, -axes - 1, -1):
        self, *rest = windows(self, axis, kernel[axis], stride[axis], dilation[axis])
        for seen in rest:  # the first of equals wins, and with it the gradient, as in PyTorch
            self = jnp.where((seen > self) | jnp.isnan(seen), seen, self)
    return self


def _avg_pool(
    axes: int,
    self: Any,
    kernel_size: Size,
    stride: Size = (),
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    kernel, pads = spread(kernel_size, axes), spread(padding, axes)
    stride = spread(stride, axes) if stride else kernel
    space, ones = self.shape[-axes:], (1,) * axes
    over = [_overhang(*row, ceil_mode) for row in zip(space, kernel, stride, pads, ones, strict=True)]

    def total(x: Any, inner: Sequence[int], outer: Sequence[int]) -> Any:
        widths = [(i, i + o) for i, o in zip(inner, outer, strict=True)]
        x = jnp.pad(x, [(0, 0)] * (x.ndim - axes) + widths)
        for axis in range(-axes, 0):
            x = sum(windows(x, axis, kernel[axis], stride[axis]))
        return x

    if divisor_override:
        return total(self, pads, over) / divisor_override
    if count_include_pad:
        counted = total(jnp.ones([s + 2 * p for s, p in zip(space, pads, strict=True)], self.dtype), (0,) * axes, over)
    else:
        counted = total(jnp.ones(space, self.dtype), pads, over)
    return total(self, pads, over) / counted


def _adaptive(axes: int, reduce: Callable[..., Any], self: Any, output_size: Size) -> Any:
    """Window k of an axis of size n cut in m: from ⌊kn/m⌋ to ⌈(k+1)n/m⌉."""
    for axis, size in zip(range(self.ndim - axes, self.ndim), spread(output_size, axes), strict=True):
        n = self.shape[axis]
        size = n if size is None else size
        parts = []
        for k in range(size):
            cut = (slice(None),) * axis + (slice(k * n // size, -(-(k + 1) * n // size)),)
            parts.append(reduce(self[cut], axis=axis, keepdims=True))
        self = jnp.concatenate(parts, axis=axis)
    return self


def _first_max(x: Any, axis: int, keepdims: bool) -> Any:
    return jnp.take_along_axis(x, jnp.argmax(x, axis=axis, keepdims=True), axis=axis)


for _n in (1, 2, 3):
    RULES[f"max_pool{_n}d"] = partial(_max_pool, _n)
    RULES[f"avg_pool{_n}d"] = partial(_avg_pool, _n)
    RULES[f"adaptive_avg_pool{_n}d"] = partial(_adaptive, _n, jnp.mean)
    RULES[f"adaptive_max_pool{_n}d"] = lambda *args, n=_n: (_adaptive(n, _first_max, *args), None)


@rule("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d")
def _upsample_nearest(input: Any, output_size: Any, scale_factors: Any = None, *rest: Any) -> Any:
    if output_size is None:
        output_size = [int(n * f) for n, f in zip(input.shape[2:], scale_factors, strict=True)]
    for axis, size in enumerate(output_size, start=2):
        input = jnp.take(input, jnp.arange(size) * input.shape[axis] // size, axis=axis)
    return input
