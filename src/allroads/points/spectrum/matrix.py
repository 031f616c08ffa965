"""A symmetric matrix known by its products, with as many examples at a time as a memory budget allows."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, Int

from allroads.compiled import quickly_compiled
from allroads.errors import MemoryBudgetError
from allroads.pfmap.inputs import choose, number_of_examples
from allroads.pfmap.kernel import examples_apart
from allroads.pfmap.network import Network, Params
from allroads.pfmap.precision import exact_products

_TOGETHER = 16
"""Products computed side by side at most: a small transformer's 16 together take a fifth of the time of 16 in turn."""
_CACHED = 2**25
"""Bytes of products side by side, about a processor's cache: past it, together is slower than in turn."""
_IN_TURN = 2**30
"""Bytes that all rows pass through up to which they are made one by one: another compilation would take longer."""

FEW = 200_000
"""Parameters up to which products, some hundred of them, take less time than what compiling them well takes."""

Apply = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Matrix:
    """A symmetric matrix known by its products.

    Args:
        size: d.
        dtype: Of its products.
        apply: ``apply(v, *data) -> A v``, flat, pure.
        data: What ``apply`` needs beside v.
        compiled: ``apply`` compiled.
        temporary: Bytes that one product takes while it is computed.
        room: Bytes of the budget that nothing else is counted for.
    """

    size: int
    dtype: np.dtype
    apply: Apply
    data: tuple[Any, ...]
    compiled: Apply
    temporary: int
    room: int

    def product(self, v: Float[np.ndarray, " size"]) -> Float[np.ndarray, " size"]:
        """A v in double precision, whatever the precision it was computed in."""
        return np.asarray(self.own_product(v), np.float64)

    def own_product(self, v: Float[np.ndarray, " size"]) -> Float[np.ndarray, " size"]:
        """A v in the precision that it is computed in."""
        return np.asarray(self.compiled(jnp.asarray(v, self.dtype), *self.data))

    def single(self) -> Matrix | None:
        """The same matrix in single precision; ``None`` where the network computes in double precision all the same."""
        with jax.enable_x64(False), warnings.catch_warnings():
            data = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), self.data)
            vector = jax.ShapeDtypeStruct((self.size,), np.float32)
            try:  # a warning says that the network asks for double precision itself
                warnings.simplefilter("error", UserWarning)
                image = jax.eval_shape(lambda v, *given: self.apply(v, *given), vector, *data)
            except (TypeError, ValueError, UserWarning):
                return None
        return replace(self, dtype=np.dtype(np.float32), data=data) if image.dtype == np.float32 else None

    def together(self, beside: int = 0) -> int:
        """How many products may be computed side by side where each needs ``beside`` bytes more."""
        each = max(1, self.temporary)
        return max(1, min(_TOGETHER, self.room // (each + beside), _CACHED // each))

    def dense(self) -> Float[np.ndarray, "size size"]:
        """All of it, ``[d, d]`` in double precision, symmetric."""
        rows: np.ndarray
        if self.size * self.temporary <= _IN_TURN:
            rows = np.stack([self.product(unit) for unit in np.eye(self.size)])
        else:
            together = self.together()
            rows = np.asarray(_rows(self.apply, together, self.size, self.dtype, self.data), np.float64)
        symmetric: np.ndarray = (rows + rows.T) / 2
        return symmetric


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _rows(apply: Apply, together: int, size: int, dtype: np.dtype, data: tuple[Any, ...]) -> Any:
    def row(index: Any) -> Any:
        return apply(jnp.zeros(size, dtype).at[index].set(1), *data)

    return jax.lax.map(row, jnp.arange(size), batch_size=min(together, size))


def fit_examples(
    apply: Apply,
    chunked: Callable[[int], tuple[Any, ...]],
    network: Network,
    params: Params,
    inputs: Any,
    *,
    size: int,
    held: int,
    memory: int,
) -> Matrix:
    """The matrix of ``apply(v, params, *chunked(at_a_time))`` with as many examples at a time as fit.

    What a product takes is asked of XLA once it is compiled. A network whose outputs depend on one another's examples
    is never taken in parts.

    Args:
        apply: The product; sums over the leading axis of the chunks.
        chunked: ``examples at a time -> data``, the leading axis of each counting chunks.
        network: The network.
        params: The point.
        inputs: All inputs, ``[N, …]``.
        size: Length of v.
        held: Bytes that the caller needs beside one product.
        memory: The budget in bytes.

    Raises:
        MemoryBudgetError: If a product does not fit with a single example at a time, or with all of them where they
            cannot be parted; says how much it needs.
    """
    dtype = jnp.result_type(*jax.tree.leaves(params))
    at_a_time = number_of_examples(inputs)
    while True:
        data = (params, *chunked(at_a_time))
        leaves, structure = jax.tree.flatten((jax.ShapeDtypeStruct((size,), dtype), *data))
        shapes = tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves)
        compiled = _compiled(apply, structure, shapes)
        temporary = compiled.memory_analysis().temp_size_in_bytes
        taken = sum(leaf.nbytes for leaf in jax.tree.leaves(data[1:]))
        room = memory - held - taken
        if temporary <= room:
            return Matrix(size, np.dtype(dtype), apply, data, compiled, temporary, room)
        parted = at_a_time > 1 and room > 0 and _apart(network, params, inputs, at_a_time)
        if not parted:
            raise _too_large(size, held, taken + temporary, memory, at_a_time > 1 and room > 0)
        at_a_time = max(1, min(at_a_time // 2, int(0.9 * at_a_time * room / temporary)))


def _apart(network: Network, params: Params, inputs: Any, at_a_time: int) -> bool:
    """Whether the outputs of the examples do not depend on one another."""
    return examples_apart(network, params, choose(inputs, slice(max(2, at_a_time // 2))))


@lru_cache(maxsize=64)
def _compiled(apply: Apply, structure: Any, shapes: tuple[Any, ...]) -> Any:
    with exact_products():
        options = quickly_compiled() if shapes[0].shape[0] <= FEW else {}
        return jax.jit(apply, compiler_options=options).lower(*structure.unflatten(shapes)).compile()


def _too_large(size: int, held: int, product: int, memory: int, coupled: bool) -> MemoryBudgetError:
    needed = held + product
    why = " The network's outputs depend on one another's examples, so they are not taken in parts." if coupled else ""
    return MemoryBudgetError(
        f"the spectrum of a {size} x {size} matrix needs {needed / 2**20:.4g} MiB, {held / 2**20:.4g} MiB of it for "
        f"vectors and the rest for the data and one product; the budget is {memory / 2**20:.4g} MiB.{why} Pass "
        f"memory={needed} or more, or ask for fewer eigenpairs, steps, probes or examples."
    )


def example_index(examples: int, at_a_time: int) -> tuple[np.ndarray, np.ndarray]:
    """Which examples each chunk holds, ``[chunks, at_a_time]``, and which of them count; the last fills up the rest.

    Example:
        >>> example_index(3, 2)
        (array([[0, 1],
               [2, 2]]), array([[ True,  True],
               [ True, False]]))
    """
    chunks = math.ceil(examples / at_a_time)
    index = np.arange(chunks * at_a_time).reshape(chunks, at_a_time)
    return np.minimum(index, examples - 1), index < examples


def unflatten(
    params: Params, vectors: Float[np.ndarray, "vectors size"], free: Int[np.ndarray, " size"] | None = None
) -> Params:
    """Flat vectors ``[k, d]`` as a pytree like the parameters with a leading axis; 0 where nothing is free."""
    flat, unravel = ravel_pytree(params)
    if free is not None:
        whole = np.zeros((len(vectors), flat.size))
        whole[:, free] = vectors
        vectors = whole
    return jax.vmap(unravel)(jnp.asarray(vectors, flat.dtype))
