"""Operators that only move numbers: views, joins, splits, padding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from allroads.networks.torch.rules.registry import RULES, rule


@rule("view", "reshape", "_unsafe_view", "view_copy")
def _view(self: Any, size: Sequence[int]) -> Any:
    return self.reshape(tuple(size))


@rule("view_as", "reshape_as")
def _view_as(self: Any, other: Any) -> Any:
    return self.reshape(other.shape)


@rule("view.dtype")
def _view_dtype(self: Any, dtype: Any) -> Any:
    return self.view(dtype)


@rule("flatten")
def _flatten(self: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    if self.ndim == 0:
        return self.reshape(1)
    start, end = start_dim % self.ndim, end_dim % self.ndim
    return self.reshape(*self.shape[:start], math.prod(self.shape[start : end + 1]), *self.shape[end + 1 :])


@rule("unflatten")
def _unflatten(self: Any, dim: int, sizes: Sequence[int]) -> Any:
    dim %= self.ndim
    known = -math.prod(sizes)
    sizes = [self.shape[dim] // known if s == -1 else s for s in sizes]
    return self.reshape(*self.shape[:dim], *sizes, *self.shape[dim + 1 :])


@rule("permute")
def _permute(self: Any, dims: Sequence[int]) -> Any:
    return jnp.transpose(self, tuple(dims))


@rule("transpose", "swapaxes", "swapdims")
def _transpose(self: Any, dim0: int, dim1: int) -> Any:
    return jnp.swapaxes(self, dim0, dim1) if self.ndim else self


@rule("movedim", "moveaxis")
def _movedim(self: Any, source: Any, destination: Any) -> Any:
    return jnp.moveaxis(self, source, destination)


@rule("t", "mT", "numpy_T", "matrix_H", "adjoint")
def _t(self: Any) -> Any:
    return jnp.swapaxes(self, -1, -2) if self.ndim >= 2 else self


@rule("expand", "broadcast_to", "expand_copy")
def _expand(self: Any, size: Sequence[int], implicit: bool = False) -> Any:
    kept = (1,) * (len(size) - self.ndim) + self.shape
    return jnp.broadcast_to(self, tuple(k if s == -1 else s for s, k in zip(size, kept, strict=True)))


@rule("expand_as")
def _expand_as(self: Any, other: Any) -> Any:
    return jnp.broadcast_to(self, other.shape)


@rule("unsqueeze")
def _unsqueeze(self: Any, dim: int) -> Any:
    return jnp.expand_dims(self, dim)


@rule("squeeze")
def _squeeze(self: Any, dim: int | Sequence[int] | None = None) -> Any:
    if dim is None:
        return jnp.squeeze(self)
    dims = [dim] if isinstance(dim, int) else dim
    return jnp.squeeze(self, tuple(d for d in (d % self.ndim for d in dims if self.ndim) if self.shape[d] == 1))


@rule("cat", "concat", "concatenate")
def _cat(tensors: Sequence[Any], dim: int = 0) -> Any:
    filled = [t for t in tensors if t.shape != (0,)]
    return jnp.concatenate(filled, axis=dim) if filled else tensors[0]


@rule("stack")
def _stack(tensors: Sequence[Any], dim: int = 0) -> Any:
    return jnp.stack(tensors, axis=dim)


@rule("hstack")
def _hstack(tensors: Sequence[Any]) -> Any:
    return jnp.hstack(tensors)


@rule("vstack")
def _vstack(tensors: Sequence[Any]) -> Any:
    return jnp.vstack(tensors)


def _cut(self: Any, sizes: Sequence[int], dim: int) -> list[Any]:
    ends = [sum(sizes[: k + 1]) for k in range(len(sizes) - 1)]
    return list(jnp.split(self, ends, axis=dim))


@rule("split", "split_with_sizes")
def _split(self: Any, split_size: int | Sequence[int], dim: int = 0) -> list[Any]:
    if not isinstance(split_size, int):
        return _cut(self, split_size, dim)
    total = self.shape[dim]
    return _cut(self, [min(split_size, total - start) for start in range(0, max(total, 1), split_size)], dim)


@rule("chunk")
def _chunk(self: Any, chunks: int, dim: int = 0) -> list[Any]:
    pieces: list[Any] = _split(self, max(1, -(-self.shape[dim] // chunks)), dim)
    return pieces


@rule("tensor_split")
def _tensor_split(self: Any, indices_or_sections: Any, dim: int = 0) -> list[Any]:
    return list(jnp.array_split(self, indices_or_sections, axis=dim))


@rule("unbind")
def _unbind(self: Any, dim: int = 0) -> list[Any]:
    return [jnp.take(self, k, axis=dim) for k in range(self.shape[dim])]


@rule("unfold")
def _unfold(self: Any, dimension: int, size: int, step: int) -> Any:
    count = (self.shape[dimension] - size) // step + 1
    index = step * jnp.arange(count)[:, None] + jnp.arange(size)[None, :]
    windows = jnp.take(self, index, axis=dimension)
    return jnp.moveaxis(windows, dimension % self.ndim + 1, -1)


@rule("repeat")
def _repeat(self: Any, repeats: Sequence[int]) -> Any:
    return jnp.tile(self, tuple(repeats))


RULES["tile"] = _repeat


@rule("repeat_interleave.self_int")
def _repeat_interleave(self: Any, repeats: int, dim: int | None = None, output_size: int | None = None) -> Any:
    return jnp.repeat(self, repeats, axis=dim)


@rule("flip")
def _flip(self: Any, dims: Sequence[int]) -> Any:
    return jnp.flip(self, tuple(dims))


@rule("roll")
def _roll(self: Any, shifts: Any, dims: Any = ()) -> Any:
    if not dims:
        return jnp.roll(self, shifts[0] if isinstance(shifts, (list, tuple)) else shifts)
    return jnp.roll(self, tuple(shifts), tuple(dims))


@rule("pad")
def _pad(self: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """Pairs of widths from the last axis backwards; negative widths crop."""
    pairs = [(0, 0)] * self.ndim
    for k in range(len(pad) // 2):
        pairs[-1 - k] = (pad[2 * k], pad[2 * k + 1])
    grown = [(max(low, 0), max(high, 0)) for low, high in pairs]
    if mode == "constant":
        self = jnp.pad(self, grown, constant_values=value or 0)
    else:
        self = jnp.pad(self, grown, mode={"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode])
    crop = tuple(slice(max(-low, 0), self.shape[axis] - max(-high, 0)) for axis, (low, high) in enumerate(pairs))
    return self[crop]


RULES["constant_pad_nd"] = lambda self, pad, value=0: _pad(self, pad, "constant", value)


@rule("pixel_shuffle")
def _pixel_shuffle(self: Any, upscale_factor: int) -> Any:
    r = upscale_factor
    *lead, channels, height, width = self.shape
    blocks = self.reshape(*lead, channels // r**2, r, r, height, width)
    n = len(lead)
    order = (*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return blocks.transpose(order).reshape(*lead, channels // r**2, height * r, width * r)
