"""Reading and writing at places: slices, gathers, scatters, embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from allroads.networks.torch.rules.registry import rule


def _at(axis: int, ndim: int, index: Any) -> tuple[Any, ...]:
    return (slice(None),) * (axis % ndim) + (index,)


@rule("slice")
def _slice(self: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Any:
    return self[_at(dim, self.ndim, slice(start, end, step))]


@rule("narrow")
def _narrow(self: Any, dim: int, start: int, length: int) -> Any:
    start %= max(self.shape[dim], 1)
    return _slice(self, dim, start, start + length)


@rule("select")
def _select(self: Any, dim: int, index: int) -> Any:
    return self[_at(dim, self.ndim, index)]


@rule("index", "_unsafe_index")
def _index(self: Any, indices: Sequence[Any]) -> Any:
    return self[tuple(slice(None) if i is None else i for i in indices)]


@rule("index_put", "_unsafe_index_put")
def _index_put(self: Any, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Any:
    if len(indices) == 1 and indices[0].dtype == bool and jnp.ndim(values) == 0 and not accumulate:
        mask = indices[0]
        return jnp.where(mask.reshape(mask.shape + (1,) * (self.ndim - mask.ndim)), values, self)
    places = self.at[tuple(slice(None) if i is None else i for i in indices)]
    return places.add(values) if accumulate else places.set(values)


@rule("index_select")
def _index_select(self: Any, dim: int, index: Any) -> Any:
    return jnp.take(self, index, axis=dim)


@rule("index_add")
def _index_add(self: Any, dim: int, index: Any, source: Any, alpha: Any = 1) -> Any:
    return self.at[_at(dim, self.ndim, index)].add(alpha * source)


@rule("gather")
def _gather(self: Any, dim: int, index: Any, sparse_grad: bool = False) -> Any:
    window = tuple(slice(None) if a == dim % self.ndim else slice(s) for a, s in enumerate(index.shape))
    return jnp.take_along_axis(self[window], index, axis=dim)


@rule("take_along_dim")
def _take_along_dim(self: Any, indices: Any, dim: int | None = None) -> Any:
    return jnp.take_along_axis(self, indices, axis=dim)


def _scatter_places(self: Any, dim: int, index: Any) -> Any:
    grid = list(jnp.indices(index.shape, sparse=True))
    grid[dim % self.ndim] = index
    return self.at[tuple(grid)]


@rule("scatter")
def _scatter(self: Any, dim: int, index: Any, src: Any) -> Any:
    values = src[tuple(map(slice, index.shape))] if jnp.ndim(src) else src
    return _scatter_places(self, dim, index).set(values)


@rule("scatter_add")
def _scatter_add(self: Any, dim: int, index: Any, src: Any) -> Any:
    return _scatter_places(self, dim, index).add(src[tuple(map(slice, index.shape))])


@rule("select_scatter")
def _select_scatter(self: Any, src: Any, dim: int, index: int) -> Any:
    return self.at[_at(dim, self.ndim, index)].set(src)


@rule("slice_scatter")
def _slice_scatter(
    self: Any, src: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Any:
    return self.at[_at(dim, self.ndim, slice(start, end, step))].set(src)


@rule("embedding")
def _embedding(
    weight: Any, indices: Any, padding_idx: int = -1, scale_grad_by_freq: bool = False, sparse: bool = False
) -> Any:
    if padding_idx >= 0:  # the padding row takes no gradient
        weight = weight.at[padding_idx].set(jax.lax.stop_gradient(weight[padding_idx]))
    return jnp.take(weight, indices, axis=0)


@rule("one_hot")
def _one_hot(self: Any, num_classes: int = -1) -> Any:
    return jax.nn.one_hot(self, num_classes, dtype=int)


@rule("tril")
def _tril(self: Any, diagonal: int = 0) -> Any:
    return jnp.tril(self, diagonal)


@rule("triu")
def _triu(self: Any, diagonal: int = 0) -> Any:
    return jnp.triu(self, diagonal)


@rule("diagonal")
def _diagonal(self: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    return jnp.diagonal(self, offset, dim1, dim2)


@rule("diag")
def _diag(self: Any, diagonal: int = 0) -> Any:
    return jnp.diag(self, diagonal)


@rule("diag_embed")
def _diag_embed(self: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    size = self.shape[-1] + abs(offset)
    places = jnp.arange(self.shape[-1])
    square = jnp.zeros((*self.shape[:-1], size, size), self.dtype)
    square = square.at[..., places + max(-offset, 0), places + max(offset, 0)].set(self)
    return jnp.moveaxis(square, (-2, -1), (dim1, dim2))


@rule("diff")
def _diff(self: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Any:
    return jnp.diff(self, n, dim, prepend, append)
