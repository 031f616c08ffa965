"""The Hessian, Gauss–Newton and empirical Fisher matrix of a network's mean loss on a data set."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from allroads.checks import check_choice
from allroads.pfmap.losses import LOSSES, resolve_loss
from allroads.pfmap.network import Params
from allroads.pfmap.objective import Examples, Objective
from allroads.pfmap.problem import Problem
from allroads.points.masks import Mask, free_index
from allroads.points.spectrum.matrix import Apply, Matrix, example_index, fit_examples
from allroads.points.spectrum.products import fisher_product, gauss_newton_product, hessian_product

MATRICES = ("hessian", "gauss_newton", "fisher")


def loss_matrix(problem: Problem, params: Params, kind: str, mask: Mask = None, *, held: int, memory: int) -> Matrix:
    """One of the three matrices of the mean loss, or its block on the free parameters.

    Args:
        problem: Network, loss and data.
        params: The point, as ``problem.point`` gives it.
        kind: ``"hessian"``, ``"gauss_newton"`` or ``"fisher"``.
        mask: Which parameters are free; default all.
        held: Bytes that the caller needs beside one product.
        memory: The budget in bytes.

    Raises:
        UnknownNameError: If there is no such matrix.
        InputError: If the mask does not fit.
        MemoryBudgetError: If a product does not fit.
    """
    check_choice("matrix", kind, MATRICES)
    data, free = problem.data, free_index(params, mask)
    size = parameter_count(params) if free is None else len(free)

    def chunked(at_a_time: int) -> tuple[Any, Any, Any]:
        index, counts = example_index(len(problem), at_a_time)
        shares = jnp.asarray(counts / len(problem), jnp.result_type(*jax.tree.leaves(params)))
        return None if free is None else jnp.asarray(free), data.batch(index), shares

    return fit_examples(
        _applied(problem.objective, kind), chunked, problem.network, params, data.inputs,
        size=size, held=held, memory=memory,
    )  # fmt: skip


def parameter_count(params: Params) -> int:
    """Numbers in a pytree of arrays."""
    return sum(np.size(leaf) for leaf in jax.tree.leaves(params))


def never_negative(kind: str, problem: Problem) -> bool:
    """Whether a matrix has no negative eigenvalue by construction."""
    convex = kind == "fisher" or (kind == "gauss_newton" and resolve_loss(problem.loss) in LOSSES.values())
    return convex and problem.regulariser is None  # a weight decay is convex


@lru_cache(maxsize=64)
def _applied(objective: Objective, kind: str) -> Apply:
    """``apply(v, params, free, data, shares)``: the product, one chunk of examples after another.

    The penalty has no outputs: its Hessian is added to the Gauss–Newton and the Fisher matrix as it is.
    """
    network = objective.network

    def of_chunk(params: Params, direction: Params, data: Examples, shares: Any) -> Params:
        if kind == "hessian":
            return hessian_product(lambda p: shares @ objective.losses(p, data), params, direction)
        if kind == "gauss_newton":
            return gauss_newton_product(
                lambda p: network.apply(p, data.inputs),
                lambda outputs: shares @ objective.from_outputs(outputs, data),
                params,
                direction,
            )
        weighted = data.weights is not None and data.weights.ndim == 1
        plain = data._replace(weights=None) if weighted else data
        return fisher_product(
            lambda p: objective.from_outputs(network.apply(p, data.inputs), plain),
            params,
            direction,
            shares * data.weights if weighted else shares,
        )

    def apply(v: Any, params: Params, free: Any, data: Examples, shares: Any) -> Any:
        flat, unravel = ravel_pytree(params)
        direction = unravel(v if free is None else jnp.zeros_like(flat).at[free].set(v.astype(flat.dtype)))

        def add_chunk(total: Params, chunk: tuple[Examples, Any]) -> tuple[Params, None]:
            return jax.tree.map(jnp.add, total, of_chunk(params, direction, *chunk)), None

        start = jax.tree.map(jnp.zeros_like, params)
        if kind != "hessian" and objective.regulariser != 0.0:
            start = hessian_product(objective.penalty, params, direction)
        product = ravel_pytree(jax.lax.scan(add_chunk, start, (data, shares))[0])[0]
        return product if free is None else product[free]

    return apply


def mean_loss(problem: Problem, matrix: Matrix) -> float:
    """The loss at the matrix's point, in the same parts."""
    params, _, data, shares = matrix.data
    return float(_mean_loss(problem.objective, params, data, shares))


@partial(jax.jit, static_argnums=0)
def _mean_loss(objective: Objective, params: Params, data: Examples, shares: Any) -> Any:
    return jax.lax.map(lambda chunk: chunk[1] @ objective.losses(params, chunk[0]), (data, shares)).sum()
