"""The windows that a convolution or a pooling looks through, one axis at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def spread(value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    """One number for each spatial axis."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * axes if len(values) == 1 else values


def windows(x: Any, axis: int, kernel: int, stride: int = 1, dilation: int = 1) -> list[Any]:
    """For each offset in a kernel along ``axis``, what every window sees there: strided slices of ``x``."""
    axis %= x.ndim
    count = (x.shape[axis] - dilation * (kernel - 1) - 1) // stride + 1
    lead = (slice(None),) * axis
    starts = range(0, kernel * dilation, dilation)
    return [x[(*lead, slice(start, start + (count - 1) * stride + 1, stride))] for start in starts]
