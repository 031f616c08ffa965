"""Pooling, with the places of the maxima where they are asked for, and its inverse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp

from allroads.networks.torch.rules.registry import RULES
from allroads.networks.windows import spread, windows

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


def _maxima(
    axes: int,
    self: Any,
    places: Any,
    kernel_size: Size,
    stride: Size = (),
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
) -> tuple[Any, Any]:
    """The maxima of the windows, and what ``places`` holds there (``None`` where nobody asks)."""
    kernel, pads, dilation = spread(kernel_size, axes), spread(padding, axes), spread(dilation, axes)
    stride = spread(stride, axes) if stride else kernel
    space = self.shape[-axes:]
    over = [_overhang(*row, ceil_mode) for row in zip(space, kernel, stride, pads, dilation, strict=True)]
    if any(pads) or any(over):
        widths = [(p, p + o) for p, o in zip(pads, over, strict=True)]
        self = jnp.pad(self, [(0, 0)] * (self.ndim - axes) + widths, constant_values=-math.inf)
        places = None if places is None else jnp.pad(places, widths)
    for axis in range(-1, -axes - 1, -1):

        def seen(x: Any, axis: int = axis) -> list[Any]:
            return windows(x, axis, kernel[axis], stride[axis], dilation[axis])

        self, *values = seen(self)
        places, *others = [None] * kernel[axis] if places is None else seen(places)
        for value, place in zip(values, others, strict=True):
            # the first of equals wins, and with it the gradient, as in PyTorch
            larger = (value > self) | jnp.isnan(value)
            self = jnp.where(larger, value, self)
            places = None if place is None else jnp.where(larger, place, places)
    return self, places


def _max_pool(axes: int, self: Any, *options: Any) -> Any:
    return _maxima(axes, self, None, *options)[0]


def _max_pool_with_indices(axes: int, self: Any, *options: Any) -> tuple[Any, Any]:
    """The maxima, and their places in the flattened image."""
    return _maxima(axes, self, _places(self.shape[-axes:]), *options)


def _places(space: Sequence[int]) -> Any:
    """The number of every pixel of an image, row by row."""
    return jnp.arange(math.prod(space)).reshape(space)


def _max_unpool(axes: int, self: Any, indices: Any, output_size: Sequence[int], *rest: Any) -> Any:
    """Every value at its place in an image of zeros."""
    lead = self.shape[:-axes]
    flat = jnp.zeros((math.prod(lead), math.prod(output_size)), self.dtype)
    rows = jnp.arange(flat.shape[0])[:, None]
    flat = flat.at[rows, indices.reshape(flat.shape[0], -1)].set(self.reshape(flat.shape[0], -1))
    return flat.reshape(*lead, *output_size)


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


def _adaptive_cuts(n: int, size: int | None) -> list[slice]:
    """Window k of an axis of size n cut in m: from ⌊kn/m⌋ to ⌈(k+1)n/m⌉."""
    m = n if size is None else size
    return [slice(k * n // m, -(-(k + 1) * n // m)) for k in range(m)]


def _adaptive_avg_pool(axes: int, self: Any, output_size: Size) -> Any:
    for axis, size in zip(range(self.ndim - axes, self.ndim), spread(output_size, axes), strict=True):
        lead = (slice(None),) * axis
        parts = [
            jnp.mean(self[(*lead, cut)], axis=axis, keepdims=True) for cut in _adaptive_cuts(self.shape[axis], size)
        ]
        self = jnp.concatenate(parts, axis=axis)
    return self


def _adaptive_max_pool(axes: int, self: Any, output_size: Size) -> tuple[Any, Any]:
    """The maxima, and their places in the flattened image."""
    places = jnp.broadcast_to(_places(self.shape[-axes:]), self.shape)
    sizes = spread(output_size, axes)
    for axis in reversed(range(self.ndim - axes, self.ndim)):
        values, found = [], []
        for cut in _adaptive_cuts(self.shape[axis], sizes[axis - self.ndim]):
            window = (*(slice(None),) * axis, cut)
            first = jnp.argmax(self[window], axis=axis, keepdims=True)
            values.append(jnp.take_along_axis(self[window], first, axis=axis))
            found.append(jnp.take_along_axis(places[window], first, axis=axis))
        self, places = jnp.concatenate(values, axis=axis), jnp.concatenate(found, axis=axis)
    return self, places


for _n in (1, 2, 3):
    RULES[f"max_pool{_n}d"] = partial(_max_pool, _n)
    RULES[f"max_pool{_n}d_with_indices"] = partial(_max_pool_with_indices, _n)
    RULES[f"max_unpool{_n}d"] = partial(_max_unpool, _n)
    RULES[f"avg_pool{_n}d"] = partial(_avg_pool, _n)
    RULES[f"adaptive_avg_pool{_n}d"] = partial(_adaptive_avg_pool, _n)
    RULES[f"adaptive_max_pool{_n}d"] = partial(_adaptive_max_pool, _n)
