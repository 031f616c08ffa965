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


@rule("scatter_reduce")
def _scatter_reduce(self: Any, dim: int, index: Any, src: Any, reduce: str, include_self: bool = True) -> Any:
    """Several values at one place are reduced to one; the gradient of equal extremes is shared equally."""
    src = src[tuple(map(slice, index.shape))]
    places = _scatter_places(self, dim, index)
    if not include_self:
        start = {"sum": 0, "mean": 0, "prod": 1, "amax": -jnp.inf, "amin": jnp.inf}[reduce]
        places = _scatter_places(places.set(start), dim, index)
    if reduce == "sum":
        return places.add(src)
    if reduce == "prod":
        return _scatter_product(places, dim, index, src)
    if reduce == "mean":
        counts = _scatter_places(jnp.full(self.shape, int(include_self)), dim, index).add(1)
        return places.add(src) / jnp.maximum(counts, 1)
    old = places.array
    top = jax.lax.stop_gradient(places.max(src) if reduce == "amax" else places.min(src))
    chosen, kept = src == top[places.index], old == top
    equals = _scatter_places(kept.astype(int), dim, index).add(chosen.astype(int))
    total = _scatter_places(jnp.where(kept, old, 0), dim, index).add(jnp.where(chosen, src, 0)) / equals
    return top + total - jax.lax.stop_gradient(total)


def _scatter_product(places: Any, dim: int, index: Any, src: Any) -> Any:
    """One slice after the other, in each of which every place is met once."""
    result, axis = places.array, dim % index.ndim
    for k in range(index.shape[axis]):
        cut = _at(axis, index.ndim, slice(k, k + 1))
        result = _scatter_places(result, dim, index[cut]).multiply(src[cut], unique_indices=True)
    return result


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


@rule("embedding_bag", "_embedding_bag")
def _embedding_bag(
    weight: Any,
    indices: Any,
    offsets: Any,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    sparse: bool = False,
    per_sample_weights: Any = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> tuple[Any, None, None, None]:
    """The sum (mode 0), mean (1) or maximum (2) of each bag of rows; an empty bag gives zeros."""
    offsets = offsets[:-1] if include_last_offset else offsets
    bags = jnp.searchsorted(offsets, jnp.arange(len(indices)), side="right") - 1
    counted = jnp.ones(len(indices), bool) if padding_idx is None else indices != padding_idx
    rows = jnp.take(weight, indices, axis=0)
    zeros = jnp.zeros((len(offsets), weight.shape[1]), weight.dtype)
    if mode == 2:
        rows = jnp.where(counted[:, None], rows, -jnp.inf)
        top = jax.ops.segment_max(rows, bags, len(offsets))
        return jnp.where(jnp.isfinite(top), top, zeros), None, None, None
    if per_sample_weights is not None:
        rows = rows * per_sample_weights[:, None]
    total = zeros.at[bags].add(jnp.where(counted[:, None], rows, 0))
    if mode == 1:
        sizes = jnp.zeros(len(offsets), int).at[bags].add(counted.astype(int))
        total = total / jnp.maximum(sizes, 1)[:, None]
    return total, None, None, None


@rule("searchsorted")
def _searchsorted(
    sorted_sequence: Any,
    self: Any,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Any = None,
) -> Any:
    if sorter is not None:
        sorted_sequence = jnp.take_along_axis(sorted_sequence, sorter, axis=-1)
    side = side or ("right" if right else "left")
    if sorted_sequence.ndim == 1:
        return jnp.searchsorted(sorted_sequence, self, side=side)
    rows, values = (x.reshape(-1, x.shape[-1]) for x in (sorted_sequence, self))
    return jax.vmap(lambda row, value: jnp.searchsorted(row, value, side=side))(rows, values).reshape(self.shape)


@rule("bucketize")
def _bucketize(self: Any, boundaries: Any, out_int32: bool = False, right: bool = False) -> Any:
    return _searchsorted(boundaries, self, out_int32, right)


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
