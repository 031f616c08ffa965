"""Resampling of images: interpolation to another size, and reading at the points of a grid."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np

from allroads.networks.torch.rules.registry import RULES, rule

Kernel = Callable[[np.ndarray], np.ndarray]


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(0.0, 1.0 - np.abs(x)))


def _cubic(x: Any, a: float, xp: Any = np) -> Any:
    """The cubic convolution kernel with parameter ``a``, zero outside [−2, 2]."""
    x = xp.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return xp.where(x <= 1, near, xp.where(x < 2, far, 0.0))


def _scale(size: int, output: int, factor: float | None, align_corners: bool) -> float:
    """Input pixels per output pixel."""
    if align_corners:
        return (size - 1) / (output - 1) if output > 1 else 0.0
    return 1 / factor if factor else size / output


def _interpolation_matrix(size: int, output: int, factor: float | None, align_corners: bool, cubic: bool) -> np.ndarray:
    """``[output, size]``: the weight of every input pixel in every output pixel along one axis."""
    scale = _scale(size, output, factor, align_corners)
    at = np.arange(output) * scale if align_corners else (np.arange(output) + 0.5) * scale - 0.5
    if not cubic:
        at = np.maximum(at, 0)
    reach = range(-1, 3) if cubic else range(2)
    first = np.floor(at).astype(int)
    matrix = np.zeros((output, size))
    for offset in reach:
        weight = _cubic(at - first - offset, -0.75) if cubic else _triangle(at - first - offset)
        np.add.at(matrix, (np.arange(output), np.clip(first + offset, 0, size - 1)), weight)
    return matrix


def _antialiasing_matrix(size: int, output: int, factor: float | None, align_corners: bool, cubic: bool) -> np.ndarray:
    """The same with a kernel as wide as an output pixel, where that is wider than an input pixel."""
    scale = _scale(size, output, factor, align_corners)
    wide = max(scale, 1.0)
    support = (2.0 if cubic else 1.0) * wide
    matrix = np.zeros((output, size))
    for row in range(output):
        centre = scale * (row + 0.5)
        start, stop = max(int(centre - support + 0.5), 0), min(int(centre + support + 0.5), size)
        distance = (np.arange(start, stop) - centre + 0.5) / wide
        weight = _cubic(distance, -0.5) if cubic else _triangle(distance)
        matrix[row, start:stop] = weight / weight.sum()
    return matrix


def _output_sizes(space: Sequence[int], output_size: Any, scale_factors: Any) -> list[int]:
    if output_size is not None:
        return [int(n) for n in output_size]
    return [math.floor(n * f) for n, f in zip(space, scale_factors, strict=True)]


def _factors(axes: int, scale_factors: Any) -> list[float | None]:
    """The scale factors of both overloads: one list, or one number for every axis."""
    if len(scale_factors) == 1 and not isinstance(scale_factors[0], float):
        return list(scale_factors[0] or [None] * axes)
    return [*scale_factors, *[None] * (axes - len(scale_factors))]


def _upsample(
    axes: int,
    matrix: Callable[..., np.ndarray],
    cubic: bool,
    input: Any,
    output_size: Any,
    align_corners: bool,
    *scale_factors: Any,
) -> Any:
    factors, space = _factors(axes, scale_factors), input.shape[2:]
    for axis, size in enumerate(_output_sizes(space, output_size, factors)):
        weights = matrix(space[axis], size, factors[axis], align_corners, cubic)
        product = jnp.tensordot(input, jnp.asarray(weights, input.dtype), ([axis + 2], [1]))
        input = jnp.moveaxis(product, -1, axis + 2)
    return input


for _name, _axes, _matrix, _is_cubic in (
    ("upsample_linear1d", 1, _interpolation_matrix, False),
    ("upsample_bilinear2d", 2, _interpolation_matrix, False),
    ("upsample_trilinear3d", 3, _interpolation_matrix, False),
    ("upsample_bicubic2d", 2, _interpolation_matrix, True),
    ("_upsample_bilinear2d_aa", 2, _antialiasing_matrix, False),
    ("_upsample_bicubic2d_aa", 2, _antialiasing_matrix, True),
):
    RULES[_name] = partial(_upsample, _axes, _matrix, _is_cubic)


def _upsample_nearest(shift: float, input: Any, output_size: Any, *scale_factors: Any) -> Any:
    """The pixel under the left edge (``shift`` 0) or the centre (½) of every output pixel, in its own precision."""
    space = input.shape[2:]
    factors = _factors(len(space), scale_factors)
    precision = np.dtype(input.dtype).type
    for axis, size in enumerate(_output_sizes(space, output_size, factors), start=2):
        scale = precision(_scale(input.shape[axis], size, factors[axis - 2], align_corners=False))
        at = np.floor((np.arange(size).astype(precision) + precision(shift)) * scale).astype(int)
        input = jnp.take(input, np.minimum(at, input.shape[axis] - 1), axis=axis)
    return input


for _n in (1, 2, 3):
    RULES[f"upsample_nearest{_n}d"] = partial(_upsample_nearest, 0.0)
    RULES[f"_upsample_nearest_exact{_n}d"] = partial(_upsample_nearest, 0.5)


def _clipped(at: Any, size: int) -> Any:
    """Coordinates on the image; past its border the derivative is 0."""
    return jnp.where(at <= 0, 0, jnp.where(at >= size - 1, size - 1, at))


def _reflected(at: Any, size: int, align_corners: bool) -> Any:
    low, span = (0.0, size - 1.0) if align_corners else (-0.5, float(size))
    if span == 0:
        return jnp.zeros_like(at)
    distance = jnp.abs(at - low)
    flips = jnp.floor(distance / span)
    rest = distance - flips * span
    return jnp.where(flips % 2 == 0, rest + low, span - rest + low)


def _on_the_image(at: Any, size: int, padding_mode: int, align_corners: bool) -> Any:
    if padding_mode == 2:
        at = _reflected(at, size, align_corners)
    return _clipped(at, size) if padding_mode else at


@rule("grid_sampler", "grid_sampler_2d", "grid_sampler_3d")
def _grid_sampler(input: Any, grid: Any, interpolation_mode: int, padding_mode: int, align_corners: bool) -> Any:
    """``input [N, C, *space]`` at ``grid [N, *points, axes]`` in [−1, 1], its last axis first.

    The interpolation is 0 linear, 1 nearest, 2 cubic; the padding is 0 zeros, 1 border, 2 reflection.
    """
    space = input.shape[2:]
    flat = input.reshape(*input.shape[:2], -1)
    shape = (input.shape[0], 1, -1)

    def read(pixel: Sequence[Any]) -> Any:
        """``[N, C, *points]``: the pixels at whole coordinates; zeros outside."""
        inside, place = jnp.asarray(True), jnp.asarray(0)
        for at, size in zip(pixel, space, strict=True):
            inside = inside & (at >= 0) & (at <= size - 1)
            place = place * size + jnp.clip(at, 0, size - 1).astype(int)
        values = jnp.take_along_axis(flat, place.reshape(shape), axis=2)
        return jnp.where(inside[:, None], values.reshape(*input.shape[:2], *grid.shape[1:-1]), 0)

    at = []
    for axis, size in enumerate(space):
        x = grid[..., len(space) - 1 - axis]
        x = (x + 1) / 2 * (size - 1) if align_corners else ((x + 1) * size - 1) / 2
        at.append(x if interpolation_mode == 2 else _on_the_image(x, size, padding_mode, align_corners))
    if interpolation_mode == 1:
        return read([jnp.round(x) for x in at])
    first = [jnp.floor(x) for x in at]
    total: Any = 0
    for offsets in itertools.product(range(-1, 3) if interpolation_mode == 2 else range(2), repeat=len(space)):
        weight, pixel = jnp.ones((), input.dtype), []
        for x, start, offset, size in zip(at, first, offsets, space, strict=True):
            distance = x - start - offset
            weight = weight * (_cubic(distance, -0.75, jnp) if interpolation_mode == 2 else 1 - jnp.abs(distance))
            whole = start + offset
            pixel.append(_on_the_image(whole, size, padding_mode, align_corners) if interpolation_mode == 2 else whole)
        total = total + weight[:, None] * read(pixel)
    return total
