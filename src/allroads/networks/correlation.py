"""Convolutions of networks: patches and one matrix product.

Under ``vmap`` over weights XLA's own convolution becomes a grouped one, slow on a CPU; patches of the inputs do not
depend on the weights, so a population shares them, and the product stays a matrix product.

Copying patches, and adding them up in the gradient, is what takes the time where images or kernels are small. There no
patches are made along the last axis: the kernel is written as a banded matrix from input to output columns, most of it
zeros, and multiplied as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

from allroads.networks.windows import windows

COPYING = 100
"""What copying a number of a patch costs, in multiplications: for more than that, zeros are multiplied instead."""

_PATCHES = ContextVar("patches", default=False)


@contextmanager
def channels_as_units() -> Iterator[None]:
    """In this block, convolutions are traced as patches times weights, whose own axes are channels alone.

    A banded matrix has an axis of output columns beside the channels.
    """
    before = _PATCHES.set(True)
    try:
        yield
    finally:
        _PATCHES.reset(before)


@dataclass(frozen=True)
class Sliding:
    """How kernels slide over images.

    Args:
        pads: Zeros before and after, per axis of space.
        stride: Step of the output positions, per axis.
        dilation: Step of the kernel's elements, per axis.
        groups: Groups of channels that do not see each other.
    """

    pads: Sequence[tuple[int, int]]
    stride: Sequence[int]
    dilation: Sequence[int]
    groups: int = 1


def correlate(x: Any, weight: Any, bias: Any, how: Sliding) -> Any:
    """``weight [out, in/groups, *kernel]`` slid over ``x [N, in, *space]``, or over one example without the first axis.

    Args:
        x: The images.
        weight: The kernels.
        bias: ``[out]``, or ``None``.
        how: Borders, steps and groups.

    Returns:
        ``[N, out, *positions]``.

    Example:
        >>> ones = jnp.ones((1, 1, 3))
        >>> correlate(ones, ones, None, Sliding([(1, 1)], [1], [1]))
        Array([[[2., 3., 2.]]], dtype=float32)
    """
    kernel = weight.shape[2:]
    single = x.ndim == len(kernel) + 1
    x = x[None] if single else x
    method = _by_bands if _bands_are_faster(x, weight, how.groups) else _by_patches
    out = method(x, weight, how)
    if bias is not None:
        out = out + bias.reshape(-1, *[1] * len(kernel))
    return out[0] if single else out


def _bands_are_faster(x: Any, weight: Any, groups: int) -> bool:
    """Whether multiplying zeros takes less than copying patches, and the matrix is no larger than the patches."""
    outputs, columns, kernel = weight.shape[0] // groups, x.shape[-1], weight.shape[-1]
    rows = len(x) * math.prod(x.shape[2:-1])
    return bool(not _PATCHES.get() and kernel > 1 and columns * outputs <= min(kernel * (outputs + COPYING), rows))


def _by_patches(x: Any, weight: Any, how: Sliding) -> Any:
    """Patches along every axis, then one product."""
    kernel, groups = weight.shape[2:], how.groups
    patches, positions = _patches(x, kernel, how)
    patches = patches.reshape(len(x), groups, x.shape[1] // groups * math.prod(kernel), -1)
    weight = weight.reshape(groups, weight.shape[0] // groups, -1)
    if groups == 1:
        out = jnp.einsum("nkp,ok->nop", patches[:, 0], weight[0])
    else:
        out = jnp.einsum("ngkp,gok->ngop", patches, weight)
    return out.reshape(len(x), -1, *positions)


def _by_bands(x: Any, weight: Any, how: Sliding) -> Any:
    """Patches along every axis but the last, and a matrix of the kernel from its input to its output positions."""
    (*rest, last), groups = weight.shape[2:], how.groups
    matrices = jnp.asarray(band(x.shape[-1], last, how.pads[-1], how.stride[-1], how.dilation[-1]), weight.dtype)
    patches, positions = _patches(x, rest, how)
    patches = patches.reshape(len(x), groups, x.shape[1] // groups, math.prod(rest), math.prod(positions[:-1]), -1)
    weight = weight.reshape(groups, weight.shape[0] // groups, weight.shape[1], math.prod(rest), last)
    kernels = jnp.einsum("gocrk,kqp->gcrqop", weight, matrices)
    out = jnp.einsum("ngcrhq,gcrqop->ngohp", patches, kernels)
    return out.reshape(len(x), -1, *positions[:-1], matrices.shape[-1])


def _patches(x: Any, kernel: Sequence[int], how: Sliding) -> tuple[Any, tuple[int, ...]]:
    """``[N, in, *space]`` to ``[N, in, *kernel, *positions]``, and the positions, along the first axes of space.

    There are as many of these axes as ``kernel`` has sizes. The others stay.
    """
    axes, rest = len(kernel), x.ndim - 2 - len(kernel)
    borders = [(low, high, 0) for low, high in how.pads[:axes]]
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), (0, 0, 0), *borders, *[(0, 0, 0)] * rest])
    for k, (size, step, gap) in enumerate(zip(kernel, how.stride, how.dilation, strict=False)):
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
