"""The Hessian, Gauss–Newton and empirical Fisher matrix of a network's mean loss on a data set."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError, UnknownNameError
from allroads.pfmap.losses import LOSSES, PerExampleLoss, resolve_loss
from allroads.pfmap.map import ParameterFunctionMap
from allroads.pfmap.network import Network, Params
from allroads.points.spectrum.matrix import Apply, Matrix, example_index, fit_examples
from allroads.points.spectrum.products import fisher_product, flat_product, gauss_newton_product, hessian_product

MATRICES = ("hessian", "gauss_newton", "fisher")


def loss_matrix(
    network: Network,
    params: Params,
    loss: str | PerExampleLoss,
    inputs: Any,
    labels: Any,
    kind: str,
    *,
    held: int,
    memory: int,
) -> Matrix:
    """One of the three matrices of the mean loss.

    Args:
        network: The network.
        params: The point.
        loss: Name or ``(outputs, labels) -> per-example losses``.
        inputs: ``[N, …]``.
        labels: ``[N, …]``.
        kind: ``"hessian"``, ``"gauss_newton"`` or ``"fisher"``.
        held: Bytes that the caller needs beside one product.
        memory: The budget in bytes.

    Raises:
        UnknownNameError: If there is no such matrix or loss.
        InputError: If parameters, inputs or labels cannot be used.
        MemoryBudgetError: If a product does not fit.
    """
    if kind not in MATRICES:
        raise UnknownNameError("matrix", kind, MATRICES)
    params, inputs, labels = _checked(network, params, loss, inputs, labels)

    def chunked(at_a_time: int) -> tuple[Any, Any, Any]:
        index, counts = example_index(len(inputs), at_a_time)
        weights = jnp.asarray(counts / len(inputs), jnp.result_type(*jax.tree.leaves(params)))
        return inputs[index], labels[index], weights

    return fit_examples(
        _applied(network, loss, kind),
        chunked,
        network,
        params,
        inputs,
        size=parameter_count(params),
        held=held,
        memory=memory,
    )


def parameter_count(params: Params) -> int:
    """Numbers in a pytree of arrays."""
    return sum(np.size(leaf) for leaf in jax.tree.leaves(params))


def never_negative(kind: str, loss: str | PerExampleLoss) -> bool:
    """Whether a matrix has no negative eigenvalue by construction."""
    return kind == "fisher" or (kind == "gauss_newton" and resolve_loss(loss) in LOSSES.values())


def _checked(
    network: Network, params: Params, loss: str | PerExampleLoss, inputs: Any, labels: Any
) -> tuple[Params, Any, Any]:
    function = ParameterFunctionMap(network, inputs)
    per_example = resolve_loss(loss)
    if not parameter_count(params):
        raise InputError("params hold no number, so there is no curvature. Pass a network with parameters.")
    outputs = jax.eval_shape(function.values, params)
    inputs, labels = jnp.asarray(function.inputs), jnp.asarray(labels)
    if labels.ndim == 0 or len(labels) != len(inputs):
        raise InputError(
            f"there are {len(inputs)} inputs and labels of shape {labels.shape}; expected one label an example."
        )
    losses = jax.eval_shape(per_example, outputs, labels)
    if losses.shape != labels.shape[:1]:
        raise InputError(
            f"the loss gives shape {losses.shape} for {len(labels)} examples; expected one number an example, "
            f"({len(labels)},). Leave the mean over the examples to allroads."
        )
    return jax.tree.map(jnp.asarray, params), inputs, labels


@lru_cache(maxsize=64)
def _applied(network: Network, loss: str | PerExampleLoss, kind: str) -> Apply:
    """``apply(v, params, inputs, labels, weights)``: the product, one chunk of examples after another."""
    per_example = resolve_loss(loss)

    def apply(v: Any, params: Params, inputs: Any, labels: Any, weights: Any) -> Any:
        def add_chunk(total: Any, chunk: tuple[Any, Any, Any]) -> tuple[Any, None]:
            x, y, w = chunk

            def outputs(p: Params) -> Any:
                return network.apply(p, x)

            def product(direction: Params) -> Params:
                if kind == "hessian":
                    return hessian_product(lambda p: w @ per_example(outputs(p), y), params, direction)
                if kind == "gauss_newton":
                    return gauss_newton_product(outputs, lambda f: w @ per_example(f, y), params, direction)
                return fisher_product(lambda p: per_example(outputs(p), y), params, direction, w)

            return total + flat_product(product, params)(v), None

        return jax.lax.scan(add_chunk, jnp.zeros_like(v), (inputs, labels, weights))[0]

    return apply


def mean_loss(network: Network, loss: str | PerExampleLoss, matrix: Matrix) -> float:
    """The loss at the matrix's point, in the same parts."""
    return float(_mean_loss(network, loss, *matrix.data))


@partial(jax.jit, static_argnums=(0, 1))
def _mean_loss(
    network: Network, loss: str | PerExampleLoss, params: Params, inputs: Any, labels: Any, weights: Any
) -> Any:
    per_example = resolve_loss(loss)

    def of_chunk(chunk: tuple[Any, Any, Any]) -> Any:
        x, y, w = chunk
        return w @ per_example(network.apply(params, x), y)

    return jax.lax.map(of_chunk, (inputs, labels, weights)).sum()
